#include "path/direction.h"

#include <algorithm>
#include <cassert>

namespace mvfstrl {
namespace {

enum Stream : std::uint64_t { kRateStream = 1, kQueueStream = 2, kLossStream = 3, kDetourStream = 4 };

const DirectionConfig& checked(const DirectionConfig& config) {
  validate(config);
  return config;
}

TimePoint floor_to_ms(TimePoint time) { return TimePoint::from_ms(time.ns() / 1'000'000); }

}  // namespace

Direction::Direction(const DirectionConfig& config, Order order, Rng rng)
    : delay_first_(order == Order::kDelayLossLink),
      millisecond_clock_(std::holds_alternative<TraceRate>(config.rate)),
      loss_(checked(config).loss),
      loss_rng_(rng.fork(kLossStream)),
      delay_(config.delay),
      queue_(config.queue, rng.fork(kQueueStream)) {
  if (!delay_first_) delay_after_ = delay_;
  if (const auto* constant = std::get_if<ConstantRate>(&config.rate)) {
    constant_rate_ = constant->rate;
    ns_per_byte_ = 8e9 / constant_rate_.bps();
  } else if (is_scheduled(config.rate)) {
    schedule_ = std::make_unique<ScheduledWire>(config.rate, rng.fork(kRateStream));
    rate_end_ = TimePoint::zero() - Duration::from_ns(1);  // the first packet looks at the schedule
  } else {
    opportunities_.emplace(config.rate, rng.fork(kRateStream));
  }
  note_shape();
  if (has_detour(config)) detour_ = std::make_unique<Detour>(config, rng.fork(kDetourStream));
}

// The functions that every packet goes through are inlined into enter() and serve(): called one by one, a
// third of their instructions would be spent on saving registers.
#define MVFSTRL_HOT [[gnu::always_inline]] inline

MVFSTRL_HOT bool Direction::lost_at_random(std::int64_t size_bytes) {
  if (loss_ <= 0 || !loss_rng_.bernoulli(loss_)) return false;
  counters_.random_losses.add(size_bytes);
  return true;
}

MVFSTRL_HOT bool Direction::admit(const Packet& packet, TimePoint at) {
  if (log_ != nullptr) return admit_recorded(packet, at);
  return queue_.admit(packet, at, counters_.queue_drops);
}

MVFSTRL_HOT bool Direction::send_next(TimePoint at) {
  if (log_ != nullptr) return send_next_recorded(at);
  return queue_.send_next(at, counters_.queue_drops);
}

MVFSTRL_HOT void Direction::depart(TimePoint at) {
  wire_busy_ = false;
  if (log_ != nullptr) record_departure(at);
  if (delay_first_ || !lost_at_random(link().sending().size_bytes)) link().depart(at);
}

MVFSTRL_HOT void Direction::start_idle_link(TimePoint at) {
  if (opportunities_) {
    opportunities_->skip_past(at);
    link_next_ = opportunities_->next();
  } else if (send_next(at)) {
    wire_busy_ = true;
    link_next_ = sent_at(at);
  }
}

MVFSTRL_HOT bool Direction::arrive(const Packet& packet, TimePoint at) {
  if (!admit(packet, at)) return false;
  if (link_next_.is_never()) start_idle_link(at);
  return true;
}

// A wire on which packets just follow each other.
MVFSTRL_HOT void Direction::serve_straight(TimePoint until) {
  PacketBuffer& packets = link();
  do {
    packets.depart(link_next_);
    if (packets.empty()) {
      wire_busy_ = false;
      link_next_ = TimePoint::never();
      return;
    }
    packets.send_next_in_place();
    link_next_ = sent_at(link_next_);
  } while (link_next_ <= until);
}

void Direction::serve_wire(TimePoint until) {
  do {
    depart(link_next_);
    if (send_next(link_next_)) {
      wire_busy_ = true;
      link_next_ = sent_at(link_next_);
    } else {
      link_next_ = TimePoint::never();
    }
  } while (link_next_ <= until);
}

// To be called when the link is to act by then.
[[gnu::noinline]] void Direction::serve(TimePoint until) {
  if (opportunities_) {
    serve_opportunities(until);
  } else if (straight_) {
    serve_straight(until);
  } else {
    serve_wire(until);
  }
}

bool Direction::enter_by_rules(TimePoint now, const Packet& packet) {
  if (delay_first_) return enter_delay(now, packet);
  if (link_next_ <= now) serve(now);
  const bool admitted = arrive(packet, now);
  refresh_next_event();
  return admitted;
}

bool Direction::enter_delay(TimePoint now, const Packet& packet) {
  before_.push(packet).entered = (millisecond_clock_ ? floor_to_ms(now) : now) + delay_;
  run(now);
  refresh_next_event();
  return true;
}

// False if nothing is to be delivered by now.
bool Direction::run_to_departure(TimePoint now) {
  run(now);
  refresh_next_event();
  return next_event_ <= now;
}

// All that the link delivers by now goes into the detour before anything comes out of it.
bool Direction::run_into_detour(TimePoint now) {
  run(now);
  while (!link().none_departed() && link().departed(0).left + delay_after_ <= now) {
    const Packet packet = link().deliver();
    detour_->admit(packet.left + delay_after_, packet, counters_.duplicated);
  }
  refresh_next_event();
  return detour_->next() <= now;
}

Tally Direction::inside() const {
  Tally total;
  visit_inside([&](const Packet& packet) { total.add(packet.size_bytes); });
  return total;
}

ByteCount Direction::offered_bytes(TimePoint now) {
  if (schedule_) return schedule_->offered_bytes(now);
  if (!opportunities_) return constant_rate_.bytes_in(now - TimePoint::zero());
  run(now);
  // An idle link has not looked at the opportunities that it had no use for.
  if (link_next_.is_never()) opportunities_->skip_past(now);
  refresh_next_event();
  return ByteCount(opportunities_->passed() * opportunities_->bytes());
}

std::size_t Direction::capacity_bytes() const {
  const std::size_t held = detour_ ? detour_->capacity_bytes() : 0;
  return before_.capacity_bytes() + link().capacity_bytes() + held;
}

void Direction::run(TimePoint until) {
  while (!before_.empty() && before_.front().entered <= until) {
    const Packet packet = before_.pop();
    if (link_next_ <= packet.entered) serve(packet.entered);
    if (!lost_at_random(packet.size_bytes)) arrive(packet, packet.entered);
  }
  if (link_next_ <= until) serve(until);
}

void Direction::serve_opportunities(TimePoint until) {
  while (link_next_ <= until) {
    const bool more = spend(link_next_, opportunities_->bytes());
    opportunities_->advance();
    link_next_ = more ? opportunities_->next() : TimePoint::never();
  }
}

// mahimahi's rule for every opportunity link: bytes, not packets; a packet may take several opportunities,
// several may share one, and what is left when the queue runs empty is lost.
bool Direction::spend(TimePoint at, std::int64_t budget_bytes) {
  while (true) {
    if (!wire_busy_) {
      if (!send_next(at)) return false;
      wire_busy_ = true;
      wire_remaining_bytes_ = link().sending().size_bytes;
    }
    const std::int64_t sent = std::min(budget_bytes, wire_remaining_bytes_);
    wire_remaining_bytes_ -= sent;
    budget_bytes -= sent;
    if (wire_remaining_bytes_ > 0) return true;
    depart(at);
    if (budget_bytes == 0) return !queue_.empty();
  }
}

bool Direction::admit_recorded(const Packet& packet, TimePoint at) {
  log_->push_back({.at = at, .entered = at, .size_bytes = packet.size_bytes, .flow = packet.flow});
  const Tally before = counters_.queue_drops;
  const bool admitted = queue_.admit(packet, at, counters_.queue_drops);
  record_drops(at, before);
  return admitted;
}

bool Direction::send_next_recorded(TimePoint at) {
  const Tally before = counters_.queue_drops;
  const bool taken = queue_.send_next(at, counters_.queue_drops);
  record_drops(at, before);
  return taken;
}

void Direction::record_departure(TimePoint at) {
  const Packet& packet = link().sending();
  log_->push_back({.at = at,
                   .entered = packet.entered,
                   .size_bytes = packet.size_bytes,
                   .kind = LinkEvent::Kind::kDeparture,
                   .flow = packet.flow});
}

void Direction::record_drops(TimePoint at, const Tally& before) {
  const auto packets = static_cast<std::uint32_t>(counters_.queue_drops.packets - before.packets);
  const auto bytes = static_cast<std::uint32_t>(counters_.queue_drops.bytes - before.bytes);
  if (packets == 0) return;
  log_->push_back(
      {.at = at, .entered = at, .packets = packets, .size_bytes = bytes, .kind = LinkEvent::Kind::kDrop});
}

TimePoint Direction::sent_across_change(TimePoint start) {
  const TimePoint done = schedule_->send(start, link().sending().size_bytes);
  ns_per_byte_ = schedule_->ns_per_byte();
  rate_end_ = schedule_->rate_end();
  return done;
}

#undef MVFSTRL_HOT

}  // namespace mvfstrl
