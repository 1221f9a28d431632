// One direction of a path: a link with its queue, random loss and propagation delay. A pure state machine
// under the caller's clock, in virtual and in real time alike. Everything inside is first in, first out, so
// packets wait in rings and never in an event heap; the link is worked off lazily, one event a delivered
// packet.
//
// Behind all that a path may have a detour: varying delay, reordering, duplication (detour.h).
//
// Time zero of the caller's clock is the start of the rate process. A trace link keeps mahimahi's rules:
// packets are admitted after the opportunities of their millisecond, and where the delay comes before the
// link, it releases at whole milliseconds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/ring.h"
#include "common/rng.h"
#include "common/units.h"
#include "path/config.h"
#include "path/detour.h"
#include "path/link_log.h"
#include "path/opportunities.h"
#include "path/packet.h"
#include "path/queue.h"
#include "path/rate_schedule.h"
#include "path/tally.h"

namespace mvfstrl {

// entered + duplicated = delivered + queue_drops + random_losses + Direction::inside(), in packets and in
// bytes, always.
struct DirectionCounters {
  Tally entered;
  Tally duplicated;
  Tally delivered;
  Tally queue_drops;
  Tally random_losses;
};

class Direction {
 public:
  enum class Order : std::uint8_t {
    kLinkLossDelay,  // data: what is lost at random has used the link
    kDelayLossLink,  // ACKs
  };

  // Throws std::invalid_argument if the configuration is not sound. `rng` feeds the rate process, the random
  // loss and PIE, each by its own stream, so the rate process does not depend on what is sent.
  Direction(const DirectionConfig& config, Order order, Rng rng);

  // A packet enters; `now` never decreases from call to call, over enter() and advance() together. Returns
  // false if the packet was dropped on the spot (only ever for kLinkLossDelay; a later drop shows in the
  // counters).
  bool enter(TimePoint now, const Packet& packet) {
    counters_.entered.add(packet.size_bytes);
    const bool busy = link_next_ > now && !link_next_.is_never();
    if (!busy || !joins_) return enter_by_rules(now, packet);
    return queue_.admit_plain(packet, now, counters_.queue_drops);  // and nothing else comes of it
  }

  // When advance() may next have a packet; never() if nothing is inside. Until then no call is needed.
  TimePoint next_event() const { return next_event_; }

  // True with the next packet delivered at or before `now`; call until false. Without a detour delivery is at
  // out.left + delay for kLinkLossDelay, at out.left for kDelayLossLink; with one, called at every
  // next_event(), it is at `now`.
  bool advance(TimePoint now, Packet& out) {
    if (now < next_event_) return false;
    if (detour_) [[unlikely]] {
      if (!run_into_detour(now)) return false;
      out = detour_->take();
    } else {
      // With a departed packet at hand the link can wait: what it does next comes behind that packet.
      if (link().none_departed() && !run_to_departure(now)) return false;
      out = link().deliver();
    }
    counters_.delivered.add(out.size_bytes);
    refresh_next_event();
    return true;
  }

  // As of the latest call.
  const DirectionCounters& counters() const { return counters_; }
  // What is in the queue, on the wire and in the delay, counted afresh (linear in it: for checks and
  // reports).
  Tally inside() const;
  // Calls visit(packet) for each of them, duplicates included.
  template <class Visit>
  void visit_inside(Visit visit) const {
    for (std::size_t i = 0; i < before_.size(); ++i) visit(before_[i]);
    for (std::int64_t i = 0; i < link().packets(); ++i) visit(link()[static_cast<std::size_t>(i)]);
    if (wire_busy_) visit(link().sending());
    for (std::size_t i = 0; i < link().departed(); ++i) visit(link().departed(i));
    if (detour_) detour_->visit_inside(visit);
  }
  // Those of them that are duplicates.
  Tally copies_inside() const { return detour_ ? detour_->copies_inside() : Tally{}; }
  // What the link could have carried from time zero to `now`, which counts as a call.
  ByteCount offered_bytes(TimePoint now);
  // From now on all that happens at the link is appended to `log`, which must outlive this; null: no more.
  void record(LinkLog* log) {
    log_ = log;
    note_shape();
  }
  // Heap memory held by rings, in bytes.
  std::size_t capacity_bytes() const;

 private:
  // Brings the link up to `until`: departures, and where the delay comes first, arrivals, in order of time.
  void run(TimePoint until);
  void serve(TimePoint until);
  void serve_wire(TimePoint until);
  void serve_straight(TimePoint until);
  void serve_opportunities(TimePoint until);
  // Spends one opportunity; false if queue and wire are empty afterwards.
  bool spend(TimePoint at, std::int64_t budget_bytes);
  bool enter_by_rules(TimePoint now, const Packet& packet);
  bool enter_delay(TimePoint now, const Packet& packet);
  // A packet reaches the link; false if it is dropped.
  bool arrive(const Packet& packet, TimePoint at);
  // The queue's admit() and send_next(), recorded.
  bool admit(const Packet& packet, TimePoint at);
  bool send_next(TimePoint at);
  bool admit_recorded(const Packet& packet, TimePoint at);
  bool send_next_recorded(TimePoint at);
  void record_departure(TimePoint at);
  void record_drops(TimePoint at, const Tally& before);
  void start_idle_link(TimePoint at);
  void depart(TimePoint at);
  bool lost_at_random(std::int64_t size_bytes);
  void note_shape() {
    const bool plain = queue_.plain() && log_ == nullptr;
    joins_ = plain && !delay_first_;
    straight_ = plain && (delay_first_ || loss_ <= 0);
    idle_delivers_ = straight_ && loss_ <= 0 && !opportunities_ && !schedule_;
  }
  bool run_to_departure(TimePoint now);
  bool run_into_detour(TimePoint now);
  void refresh_next_event() {
    next_event_ = link().none_departed() ? next_at_link() : link().departed(0).left + delay_after_;
    if (detour_) [[unlikely]]
      next_event_ = std::min(next_event_, detour_->next());
  }
  TimePoint next_at_link() const {
    if (!link_next_.is_never()) return link_next_ + delay_after_;
    if (before_.empty()) return TimePoint::never();
    const Packet& first = before_.front();
    return idle_delivers_ ? first.entered + serialisation(first.size_bytes) : first.entered;
  }
  // What is at the link: waiting, being sent, on its way behind it.
  PacketBuffer& link() { return queue_.buffer(); }
  const PacketBuffer& link() const { return queue_.buffer(); }
  // When the packet being sent has left, sent from `start` on.
  TimePoint sent_at(TimePoint start) {
    const TimePoint done = start + serialisation(link().sending().size_bytes);
    return done <= rate_end_ ? done : sent_across_change(start);
  }
  TimePoint sent_across_change(TimePoint start);
  Duration serialisation(std::uint32_t size_bytes) const {
    return Duration::from_ns(static_cast<std::int64_t>(ns_per_byte_ * size_bytes + 0.5));
  }

  TimePoint next_event_ = TimePoint::never();
  // When the link next acts: a wire's packet leaves, or an opportunity comes; never() while idle.
  TimePoint link_next_ = TimePoint::never();
  Duration delay_after_;    // propagation behind the link
  bool wire_busy_ = false;  // a packet is being sent
  bool delay_first_;
  bool joins_ = false;     // an arrival at a busy link only joins the queue, or finds it full
  bool straight_ = false;  // a packet once admitted leaves, and nobody looks on
  bool idle_delivers_ =
      false;  // and one that finds the link idle is delivered when it has been sent, for sure
  bool millisecond_clock_;
  std::int64_t wire_remaining_bytes_ = 0;    // of the packet being sent, on opportunity links
  double ns_per_byte_ = 0;                   // wires
  TimePoint rate_end_ = TimePoint::never();  // until when that holds
  double loss_;
  Rng loss_rng_;
  Duration delay_;
  Bandwidth constant_rate_;
  Ring<Packet> before_;  // in the delay ahead of the link; entered is when they reach the link
  Queue queue_;
  std::optional<Opportunities> opportunities_;  // none: a wire
  std::unique_ptr<ScheduledWire> schedule_;     // none: opportunities, or a constant rate
  std::unique_ptr<Detour> detour_;
  DirectionCounters counters_;
  LinkLog* log_ = nullptr;
};

}  // namespace mvfstrl
