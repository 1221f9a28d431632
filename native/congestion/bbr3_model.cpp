// The model of the path: "Delivery Rate Samples", "Updating Network Path Model Parameters".
#include "congestion/bbr3.h"

namespace mvfstrl {

// "Upon receiving an ACK"
Bbr3::Sample Bbr3::sample_of(const AckEvent& ack) {
  Sample sample;
  sample.newly_acked = bytes(ack.acked_bytes);
  const AckedPacket& packet = ack.packets.back();
  limited_.on_ack(ack);
  sample.app_limited = packet.app_limited || limited_.contains(packet.packet_number);
  if (packet.at_send == nullptr) return sample;
  const DeliveryState& then = *packet.at_send;
  const bool acked_before = then.delivered > ByteCount::zero();
  const TimePoint first_sent =
      acked_before ? std::max(then.acked_sent_time, then.flight_start) : then.flight_start;
  const TimePoint prior_time = acked_before ? std::max(then.ack_time, then.flight_start) : then.flight_start;
  sample.prior_delivered = bytes(then.delivered);
  sample.delivered = delivered_ - sample.prior_delivered;
  sample.tx_in_flight = bytes(packet.sent_bytes - then.delivered - then.lost);
  sample.lost = bytes(ack.delivery.lost - then.lost);
  const Duration interval = std::max(packet.sent_time - first_sent, ack.now - prior_time);
  const bool known = min_rtt_ != Duration::infinite();
  if (interval <= Duration::zero() || (known && interval < min_rtt_)) return sample;
  sample.rate = sample.delivered / interval.to_seconds();
  return sample;
}

// ---- rounds and bandwidth

void Bbr3::update_round(const AckEvent&) {
  round_start_ = sample_.prior_delivered >= next_round_delivered_;
  if (!round_start_) return;
  start_round();
  ++round_;
  ++rounds_since_probe_;
}

void Bbr3::update_max_bandwidth() {
  if (sample_.rate <= 0) return;
  if (sample_.rate < max_bandwidth() && sample_.app_limited) return;
  max_bandwidth_[1] = std::max(max_bandwidth_[1], sample_.rate);
}

// ---- the short-term model: "When not Probing for Bandwidth"

void Bbr3::update_latest_delivery(const AckEvent&) {
  loss_round_start_ = false;
  bandwidth_latest_ = std::max(bandwidth_latest_, sample_.rate);
  inflight_latest_ = std::max(inflight_latest_, sample_.delivered);
  if (sample_.prior_delivered < loss_round_delivered_) return;
  loss_round_delivered_ = delivered_;
  loss_round_start_ = true;
}

void Bbr3::update_congestion_signals(const AckEvent& ack) {
  update_round(ack);
  update_max_bandwidth();
  if (!loss_round_start_) return;
  adapt_lower_bounds();
}

void Bbr3::adapt_lower_bounds() {
  if (probing_bandwidth() || !loss_in_round_) return;
  if (bandwidth_short_ >= kInfinity) bandwidth_short_ = max_bandwidth();
  if (inflight_short_ >= kInfinity) inflight_short_ = bytes(window_);
  bandwidth_short_ = std::max(bandwidth_latest_, config_.beta * bandwidth_short_);
  inflight_short_ = std::max(inflight_latest_, config_.beta * inflight_short_);
}

void Bbr3::advance_latest_delivery() {
  if (!loss_round_start_) return;
  bandwidth_latest_ = sample_.rate;
  inflight_latest_ = sample_.delivered;
  loss_in_round_ = false;
  loss_ranges_in_round_ = 0;
}

void Bbr3::reset_congestion_signals() {
  loss_in_round_ = false;
  loss_ranges_in_round_ = 0;
  bandwidth_latest_ = 0;
  inflight_latest_ = 0;
}

void Bbr3::reset_short_term_model() {
  bandwidth_short_ = kInfinity;
  inflight_short_ = kInfinity;
}

// ---- losses: "Probing for Bandwidth In ProbeBW"

void Bbr3::note_loss(const LossEvent& loss) {
  if (!loss_in_round_) loss_round_delivered_ = bytes(loss.delivery.delivered);
  loss_in_round_ = true;
  for (const LostPacket& packet : loss.packets) {
    if (!last_lost_ || packet.packet_number != *last_lost_ + 1) ++loss_ranges_in_round_;
    last_lost_ = packet.packet_number;
  }
}

// `lost` counts the connection's losses up to this packet.
void Bbr3::handle_lost_packet(const LostPacket& packet, double lost, TimePoint now) {
  if (!probe_sample_ || packet.at_send == nullptr) return;
  const DeliveryState& then = *packet.at_send;
  sample_.tx_in_flight = bytes(packet.sent_bytes - then.delivered - then.lost);
  sample_.lost = lost - bytes(then.lost);
  sample_.app_limited = packet.app_limited || limited_.contains(packet.packet_number);
  if (!inflight_too_high()) return;
  // How much could be in flight before losses crossed the threshold.
  const double size = bytes(packet.size);
  const double in_flight = sample_.tx_in_flight - size;
  const double prefix =
      (config_.loss_threshold * in_flight - (sample_.lost - size)) / (1 - config_.loss_threshold);
  sample_.tx_in_flight = in_flight + prefix;
  handle_inflight_too_high(now);
}

void Bbr3::handle_inflight_too_high(TimePoint now) {
  previous_probe_too_high_ = true;
  probe_sample_ = false;  // one reaction a probe
  if (!sample_.app_limited) {
    inflight_long_ = std::max(sample_.tx_in_flight, target_inflight() * config_.beta);
  }
  if (state_ == State::kUp) start_down(now);
}

double Bbr3::inflight_with_headroom() const {
  if (inflight_long_ >= kInfinity) return kInfinity;
  const double headroom = std::max(packet_, config_.headroom * inflight_long_);
  return std::max(inflight_long_ - headroom, minimum());
}

// ---- aggregation and RTT

// "BBR.extra_acked"
void Bbr3::update_ack_aggregation(const AckEvent& ack) {
  if (!extra_acked_start_) extra_acked_start_ = ack.packets.front().sent_time;
  double expected = bandwidth_ * (ack.now - *extra_acked_start_).to_seconds();
  if (extra_acked_delivered_ <= expected) {
    extra_acked_delivered_ = 0;
    extra_acked_start_ = ack.now;
    expected = 0;
  }
  extra_acked_delivered_ += sample_.newly_acked;
  const double extra = std::min(extra_acked_delivered_ - expected, bytes(window_));
  extra_acked_.set_window(full_bandwidth_reached_ ? static_cast<std::uint64_t>(config_.extra_acked_rounds)
                                                  : 1);
  extra_acked_.update(extra, round_);
}

// "ProbeRTT Logic"
void Bbr3::update_min_rtt(const AckEvent& ack) {
  const bool known = min_rtt_ != Duration::infinite();
  probe_rtt_expired_ = known && ack.now > probe_rtt_min_time_ + config_.probe_rtt_interval;
  if (ack.rtt && (*ack.rtt < probe_rtt_min_ || probe_rtt_expired_)) {
    probe_rtt_min_ = *ack.rtt;
    probe_rtt_min_time_ = ack.now;
  }
  const bool expired = known && ack.now > min_rtt_time_ + config_.min_rtt_expiry;
  if (probe_rtt_min_ < min_rtt_ || expired) {
    min_rtt_ = probe_rtt_min_;
    min_rtt_time_ = probe_rtt_min_time_;
  }
}

}  // namespace mvfstrl
