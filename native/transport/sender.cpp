#include "transport/sender.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <utility>

#include "transport/wheel_timer.h"

namespace mvfstrl {

namespace {

bool paces(Pacing pacing, const CongestionController* controller) {
  if (pacing == Pacing::kAuto) return controller != nullptr && controller->wants_pacing();
  return pacing == Pacing::kAlways;
}

}  // namespace

Sender::Sender(const TransportConfig& config, std::unique_ptr<CongestionController> controller,
               const AppConfig& app, TimePoint start, Rng rng)
    : config_(config),
      controller_(std::move(controller)),
      app_(app, config.window.packet_size, start, rng),
      pacer_(config, paces(config.pacing, controller_.get())),
      alarm_base_(start) {
  config_.validate();
  if (controller_ == nullptr) throw std::invalid_argument("a sender needs a controller");
  notify_sent_ = controller_->wants_packet_sent();
}

const ConnectionStats& Sender::stats() {
  update_window_stats();
  return stats_;
}

void Sender::update_window_stats() {
  stats_.congestion_window = controller_->congestion_window();
  stats_.writable = std::max(ByteCount::zero(), stats_.congestion_window - stats_.bytes_in_flight);
}

bool Sender::finished() const {
  return app_.exhausted() && retransmit_ == ByteCount::zero() && stats_.packets_in_flight == 0;
}

// ---- sending

// Always inlined: this is what every packet costs.
[[gnu::always_inline]] inline SentRecord& Sender::send(TimePoint now, ByteCount size, DataPacket& out) {
  SentRecord record;
  record.sent_time = now;
  record.sent_bytes = stats_.bytes_sent + size;
  if (stats_.packets_in_flight == 0) [[unlikely]] {
    delivery_.flight_start = now;
    note_delivery();
  }
  record.delivery = deliveries_.current();
  record.size = static_cast<std::uint32_t>(size.value());
  record.app_limited = stats_.bytes_acked < app_limited_until_;
  const std::uint64_t number = sent_.push(record);

  ++stats_.packets_sent;
  ++stats_.packets_in_flight;
  stats_.bytes_sent += size;
  stats_.bytes_in_flight += size;
  last_sent_ = now;
  arm_loss_alarm(now);
  if (notify_sent_) notify_sent({now, number, size, stats_.bytes_in_flight, record.app_limited});
  out.packet_number = number;
  out.payload = size;
  return sent_[number];
}

// Packets sent from now on keep the present state.
void Sender::note_delivery() {
  const bool empty = sent_.begin() == sent_.next_packet_number();
  deliveries_.push(delivery_, empty ? deliveries_.current() : sent_[sent_.begin()].delivery);
}

void Sender::notify_sent(const SentPacket& packet) {
  controller_->on_packet_sent(packet);
  if (log_ != nullptr) log_->on_packet_sent(packet, stats_.pto_count);
}

bool Sender::next_packet(TimePoint now, DataPacket& out) {
  app_.advance(now);
  if (probes_pending_ > 0) [[unlikely]]
    return probe(now, out);
  pacing_blocked_ = false;
  // mvfst rounds what the window admits up to whole packets (congestionControlWritableBytes).
  if (stats_.bytes_in_flight >= controller_->congestion_window()) {
    pacer_.cancel();
    return false;
  }
  if (!has_data()) [[unlikely]] {
    pacer_.cancel();
    on_nothing_to_send(now);
    return false;
  }
  if (pacer_.enabled()) {
    if (!pacer_.may_send(now)) {
      pacing_blocked_ = true;
      return false;
    }
    pacer_.on_packet_sent();
  }
  const bool plain = app_.unlimited() && !app_idle_ && retransmit_ == ByteCount::zero() && !handshaking();
  if (plain) [[likely]] {
    send(now, config_.window.packet_size, out);
  } else {
    send_data(now, out);
  }
  return true;
}

void Sender::send_data(TimePoint now, DataPacket& out) {
  if (app_idle_) {
    app_idle_ = false;
    controller_->set_app_idle(false, now);
  }
  if (handshaking()) {
    send_handshake(now, out);
    return;
  }
  const ByteCount full = config_.window.packet_size;
  const bool again = retransmit_ > ByteCount::zero();
  const ByteCount offered = again ? retransmit_ : (app_.unlimited() ? full : app_.available());
  const ByteCount size = std::min(full, offered);
  if (again) {
    retransmit_ -= size;
    stats_.bytes_retransmitted += size;
  } else {
    app_.take(size);
  }
  send(now, size, out);
}

void Sender::send_handshake(TimePoint now, DataPacket& out) {
  const auto flight = static_cast<std::uint64_t>(config_.handshake_packets);
  const std::uint64_t number = sent_.next_packet_number();
  ByteCount size = config_.window.packet_size;
  if (number >= flight) {
    done_pending_ = false;
    size = config_.handshake_done;
  } else if (number + 1 == flight) {
    size = config_.handshake_last_packet;
  }
  send(now, size, out);
}

void Sender::on_nothing_to_send(TimePoint now) {
  app_limited_until_ = stats_.bytes_acked + stats_.bytes_in_flight + ByteCount(1);
  if (!app_idle_ && stats_.packets_in_flight == 0 && stats_.packets_sent > 0) {
    app_idle_ = true;
    controller_->set_app_idle(true, now);
  }
}

// A probe carries lost data, else new data, else repeats the oldest packet in flight (mvfst:
// CloningScheduler). It ignores the window and the pacer.
bool Sender::probe(TimePoint now, DataPacket& out) {
  --probes_pending_;
  if (has_data()) {
    send_data(now, out);
    return true;
  }
  if (clone_oldest(now, out)) return true;
  probes_pending_ = 0;
  return false;
}

bool Sender::clone_oldest(TimePoint now, DataPacket& out) {
  const auto try_clone = [&](std::uint64_t number) {
    if (number < next_clone_ || sent_[number].clone_offset != 0) return false;
    next_clone_ = number + 1;
    const ByteCount size(sent_[number].size);
    sent_[number].cloned = true;
    SentRecord& clone = send(now, size, out);
    clone.clone_offset = static_cast<std::uint32_t>(out.packet_number - number);
    stats_.bytes_retransmitted += size;
    ++stats_.timeout_based_rtx_count;
    return true;
  };
  for (std::size_t i = sent_.declared_lost(); i < sent_.holes(); ++i) {
    if (try_clone(sent_.hole(i))) return true;
  }
  const std::uint64_t end = sent_.next_packet_number();
  for (std::uint64_t number = sent_.acked_end(); number < end; ++number) {
    if (try_clone(number)) return true;
  }
  return false;
}

// ---- acknowledgements

void Sender::on_ack(TimePoint now, const AckFrame& frame) {
  assert(!frame.ranges.empty() && frame.largest() < sent_.next_packet_number());
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
  if (record.cloned || record.clone_offset != 0) [[unlikely]]
    claim_data(number);
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

// RFC 9002 section 7.6, as mvfst tells it: within one event, the losses span three probe timeouts and no
// packet sent between them is acknowledged by the same ACK.
bool Sender::is_persistent_congestion() const {
  if (!rtt_.has_sample() || acked_.empty()) return false;
  const TimePoint first = lost_.front().sent_time;
  const TimePoint last = lost_.back().sent_time;
  if (last - first < probe_timeout() * config_.persistent_congestion_threshold) return false;
  return std::none_of(acked_.begin(), acked_.end(), [&](const AckedPacket& packet) {
    return packet.sent_time >= first && packet.sent_time <= last;
  });
}

void Sender::deliver_event(TimePoint now, ByteCount prior_in_flight, std::optional<Duration> rtt,
                           Duration ack_delay) {
  const std::uint64_t largest_sent = sent_.next_packet_number() - 1;
  delivery_.lost = stats_.bytes_lost;
  AckEvent ack{now, acked_,       acked_bytes_, prior_in_flight, stats_.bytes_in_flight,
               rtt, largest_sent, ack_delay,    delivery_};
  LossEvent loss{now, lost_, {}, prior_in_flight, largest_sent, false, delivery_};
  for (const LostPacket& packet : lost_) loss.lost_bytes += packet.size;
  if (!lost_.empty() && is_persistent_congestion()) {
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

// ---- timers

TimePoint Sender::next_timer() const {
  TimePoint next = loss_alarm();
  if (!app_.has_data()) next = std::min(next, app_.next_event());
  if (pacing_blocked_) next = std::min(next, pacer_.next_release());
  return next;
}

void Sender::on_timer(TimePoint now) {
  app_.advance(now);
  if (now < loss_alarm()) return;
  if (loss_time_) {
    const ByteCount prior_in_flight = stats_.bytes_in_flight;
    acked_.clear();
    lost_.clear();
    acked_bytes_ = ByteCount::zero();
    detect_losses(now);
    if (!lost_.empty()) deliver_event(now, prior_in_flight, std::nullopt, Duration::zero());
  } else {
    on_probe_timeout();
    if (log_ != nullptr) log_->on_probe_timeout(now, rtt_, stats_, *controller_);
  }
  arm_loss_alarm(now);
}

void Sender::on_probe_timeout() {
  ++stats_.pto_count;
  ++stats_.total_pto_count;
  probes_pending_ = config_.pto_probes;
  next_clone_ = 0;
  if (!has_data()) {
    const auto in_flight = static_cast<std::int64_t>(stats_.packets_in_flight);
    probes_pending_ = static_cast<std::int32_t>(std::min<std::int64_t>(probes_pending_, in_flight));
  }
}

// RFC 9002 section 6.2.1, with the largest ACK delay seen in place of the peer's announced one, and without
// the floor of a timer granularity (mvfst: calculatePTO).
Duration Sender::probe_timeout() const {
  if (!rtt_.has_sample()) return config_.initial_rtt * 2;
  return rtt_.smoothed() + rtt_.variation() * 4 + rtt_.max_ack_delay();
}

TimePoint Sender::loss_alarm() const {
  if (stats_.packets_in_flight == 0) return TimePoint::never();
  if (!alarm_known_) {
    constexpr std::uint32_t kMaximumBackoff = 20;  // a million timeouts, beyond any simulation
    const TimePoint deadline =
        loss_time_
            ? *loss_time_
            : last_sent_ + probe_timeout() * (std::int64_t{1} << std::min(stats_.pto_count, kMaximumBackoff));
    alarm_ = alarm_base_ + wheel_timeout(deadline - alarm_base_, config_.loss_timer_tick);
    alarm_known_ = true;
  }
  return alarm_;
}

}  // namespace mvfstrl
