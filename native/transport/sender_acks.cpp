// What ACKs tell a sender: what has arrived, what is lost, how long the way is.
#include <algorithm>
#include <cassert>
#include <utility>

#include "congestion/persistent_congestion.h"
#include "transport/sender.h"

namespace mvfstrl {

void Sender::on_ack(TimePoint now, const AckFrame& frame) {
  assert(!frame.ranges.empty() && frame.largest() < sent_.next_packet_number());
  plain_window_ = ByteCount::zero();
  stats_.bytes_received += frame.payload;
  if (log_ != nullptr) [[unlikely]]
    log_->on_ack_frame(now, frame);
  const ByteCount prior_in_flight = stats_.bytes_in_flight;
  acked_.clear();
  lost_.clear();
  acked_bytes_ = ByteCount::zero();
  const std::optional<Duration> rtt = collect_acked(now, frame);
  if (!acked_.empty()) {
    stats_.pto_count = 0;
    delivery_.delivered = stats_.bytes_acked;
    delivery_.sent = stats_.bytes_sent;
    delivery_.ack_time = now;
    delivery_.received_time = now - frame.ack_delay;
    delivery_.acked_sent_time = acked_.back().sent_time;
  }
  const auto handshake = static_cast<std::uint64_t>(config_.handshake_packets);
  if (handshake > 0 && !done_settled_ && sent_.acked_end() >= handshake) {
    done_settled_ = true;
    done_pending_ = config_.handshake_done > ByteCount::zero();
  }
  detect_losses(now);
  arm_loss_alarm(now);
  if (!acked_.empty() || !lost_.empty()) deliver_event(now, prior_in_flight, rtt, frame.ack_delay);
  forget_old_losses(now);
  sent_.release();
}

// Fills acked_ in rising packet number and takes the RTT sample.
std::optional<Duration> Sender::collect_acked(TimePoint now, const AckFrame& frame) {
  collect_acked_holes(frame);
  collect_acked_new(frame);
  stats_.packets_acked += acked_.size();
  stats_.packets_in_flight -= acked_.size();
  stats_.bytes_acked += acked_bytes_;
  stats_.bytes_in_flight -= acked_bytes_;
  if (acked_.empty() || acked_.back().packet_number != frame.largest()) return std::nullopt;
  const Duration elapsed = now - acked_.back().sent_time;
  // Rounded up to microseconds, in which mvfst keeps its RTTs.
  const Duration sample = Duration::from_us((elapsed.ns() + 999) / 1000);
  if (sample.is_zero()) return std::nullopt;
  rtt_.update(sample, frame.ack_delay);
  return sample;
}

void Sender::collect_acked_holes(const AckFrame& frame) {
  if (sent_.holes() == 0) return;
  const std::uint64_t oldest = sent_.hole(0);
  // From the oldest range that can matter towards newer ones, alongside the holes.
  std::size_t next = frame.ranges.size();
  while (next > 0 && frame.ranges[next - 1].last < oldest) --next;
  const auto is_acked = [&](std::uint64_t number) {
    while (next > 0 && frame.ranges[next - 1].last < number) --next;
    return next > 0 && frame.ranges[next - 1].first <= number;
  };
  sent_.remove_holes(is_acked, [&](std::uint64_t number, bool declared_lost) {
    if (declared_lost) {
      ++stats_.packets_spuriously_lost;  // RFC 9002 leaves what to do open; mvfst's controllers do nothing
    } else {
      acknowledge(number);
    }
  });
}

void Sender::collect_acked_new(const AckFrame& frame) {
  std::uint64_t expected = sent_.acked_end();
  if (frame.largest() < expected) return;
  std::size_t next = 0;
  while (next < frame.ranges.size() && frame.ranges[next].last >= expected) ++next;
  while (next > 0) {
    const AckRange& range = frame.ranges[--next];
    for (; expected < range.first; ++expected) sent_.add_hole(expected);
    for (; expected <= range.last; ++expected) acknowledge(expected);
  }
  sent_.set_acked_end(expected);
}

void Sender::acknowledge(std::uint64_t number) {
  const SentRecord& record = sent_[number];
  const ByteCount size(record.size);
  acked_.push_back(
      {number, record.sent_time, size, record.app_limited, record.sent_bytes, &deliveries_[record.delivery]});
  acked_bytes_ += size;
  if (record.shares_data) [[unlikely]]
    claim_data(number);
}

// Packets sent from now on keep the present state.
void Sender::note_delivery() {
  const bool empty = sent_.begin() == sent_.next_packet_number();
  deliveries_.push(delivery_, empty ? deliveries_.current() : sent_[sent_.begin()].delivery);
}

// ---- losses

// mvfst's reading of RFC 9002 section 6.1: more than packet_threshold numbers behind the largest
// acknowledged.
void Sender::detect_losses(TimePoint now) {
  loss_time_.reset();
  const Duration delay = std::max(rtt_.smoothed(), rtt_.latest()) * config_.time_threshold_dividend /
                         config_.time_threshold_divisor;
  while (sent_.declared_lost() < sent_.holes()) {
    const std::uint64_t number = sent_.hole(sent_.declared_lost());
    const TimePoint expires = sent_[number].sent_time + delay;
    const std::uint64_t behind = sent_.acked_end() - 1 - number;
    if (behind <= static_cast<std::uint64_t>(config_.packet_threshold) && now < expires) {
      loss_time_ = expires;
      return;
    }
    declare_lost(number);
  }
}

void Sender::declare_lost(std::uint64_t number) {
  const SentRecord& record = sent_[number];
  const ByteCount size(record.size);
  lost_.push_back(
      {number, record.sent_time, size, record.app_limited, record.sent_bytes, &deliveries_[record.delivery]});
  sent_.declare_lost();
  ++stats_.packets_lost;
  --stats_.packets_in_flight;
  ++stats_.rtx_count;
  stats_.bytes_lost += size;
  stats_.bytes_in_flight -= size;
  if (claim_data(number)) retransmit_ += size;
}

// Whether this packet is the first of those that carry its data to be acknowledged or lost.
bool Sender::claim_data(std::uint64_t number) {
  const SentRecord& record = sent_[number];
  const std::uint64_t original = number - record.clone_offset;
  if (original < sent_.begin()) return false;  // settled long ago
  return !std::exchange(sent_[original].processed, true);
}

void Sender::deliver_event(TimePoint now, ByteCount prior_in_flight, std::optional<Duration> rtt,
                           Duration ack_delay) {
  const std::uint64_t largest_sent = sent_.next_packet_number() - 1;
  delivery_.lost = stats_.bytes_lost;
  AckEvent ack{now, acked_,       acked_bytes_, prior_in_flight, stats_.bytes_in_flight,
               rtt, largest_sent, ack_delay,    delivery_};
  LossEvent loss{now, lost_, {}, prior_in_flight, largest_sent, false, delivery_};
  for (const LostPacket& packet : lost_) loss.lost_bytes += packet.size;
  if (!lost_.empty() && rtt_.has_sample() &&
      is_persistent_congestion(acked_, lost_, probe_timeout() * config_.persistent_congestion_threshold)) {
    loss.persistent = true;
    ++stats_.persistent_congestion_count;
  }
  const AckEvent* ack_event = acked_.empty() ? nullptr : &ack;
  const LossEvent* loss_event = lost_.empty() ? nullptr : &loss;
  controller_->on_ack_or_loss(ack_event, loss_event, rtt_);
  note_delivery();
  if (pacer_.enabled()) {
    if (const auto pace = controller_->pace(rtt_)) pacer_.set_pace(*pace);
  }
  if (observer_ != nullptr) {
    update_window_stats();
    observer_->on_event(now, ack_event, loss_event, rtt_, stats_);
  }
  if (log_ != nullptr) [[unlikely]]
    log_->on_event(now, loss_event, rtt_, stats_, *controller_);
}

// A lost packet whose acknowledgement has not come within a probe timeout will not come (mvfst:
// clearOldOutstandingPackets).
void Sender::forget_old_losses(TimePoint now) {
  if (sent_.declared_lost() == 0) return;
  const Duration patience = probe_timeout();
  while (sent_.declared_lost() > 0 && now - sent_[sent_.hole(0)].sent_time > patience)
    sent_.forget_oldest_lost();
}

}  // namespace mvfstrl
