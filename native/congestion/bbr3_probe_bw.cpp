// "ProbeBW": down, cruise, refill, up.
#include "congestion/bbr3.h"

namespace mvfstrl {

// ---- the states

void Bbr3::start_down(TimePoint now) {
  reset_congestion_signals();
  up_acked_per_packet_ = kInfinity;
  // When to probe again ("Time Scale for Bandwidth Probing").
  rounds_since_probe_ = static_cast<std::int64_t>(rng_.below(2));
  const Duration spread = config_.probe_wait_high - config_.probe_wait_low;
  probe_wait_ = config_.probe_wait_low + spread.scaled(rng_.uniform());
  cycle_start_ = now;
  ack_phase_ = AckPhase::kProbeStopping;
  start_round();
  enter(State::kDown, config_.down_pacing_gain, config_.window_gain);
}

void Bbr3::start_cruise() { enter(State::kCruise, 1.0, config_.window_gain); }

void Bbr3::start_refill() {
  reset_short_term_model();
  up_rounds_ = 0;
  up_acked_ = 0;
  previous_probe_precautionary_ = false;
  ack_phase_ = AckPhase::kRefilling;
  start_round();
  enter(State::kRefill, 1.0, config_.window_gain);
}

void Bbr3::start_up() {
  ack_phase_ = AckPhase::kProbeStarting;
  start_round();
  reset_full_bandwidth();
  full_bandwidth_ = sample_.rate;
  enter(State::kUp, config_.up_pacing_gain, config_.up_window_gain);
  raise_long_term_slope();
}

// ---- transitions

void Bbr3::update_probe_bw(const AckEvent& ack) {
  if (!full_bandwidth_reached_ || adapt_long_term_model(ack)) return;
  switch (state_) {
    case State::kDown:
      if (!time_to_probe(ack.now) && time_to_cruise(ack)) start_cruise();
      break;
    case State::kCruise:
      time_to_probe(ack.now);
      break;
    case State::kRefill:
      if (round_start_) {  // the pipe has been filled for a round
        probe_sample_ = true;
        start_up();
      }
      break;
    case State::kUp:
      if (time_to_go_down(ack)) {
        previous_probe_too_high_ = false;  // not yet
        start_down(ack.now);
      }
      break;
    default:
      break;
  }
}

bool Bbr3::time_to_probe(TimePoint now) {
  const auto packets = static_cast<std::int64_t>(target_inflight() / packet_);
  const bool reno_would = rounds_since_probe_ >= std::min(packets, config_.reno_rounds);
  if (now <= cycle_start_ + probe_wait_ && !reno_would) return false;
  start_refill();
  return true;
}

bool Bbr3::time_to_cruise(const AckEvent& ack) const {
  const double in_flight = bytes(ack.bytes_in_flight);
  return in_flight <= inflight_with_headroom() && in_flight <= inflight(max_bandwidth(), 1.0);
}

bool Bbr3::time_to_go_down(const AckEvent& ack) {
  // "Precautionary Bandwidth Probing": the last probe lost too much at this level.
  if (previous_probe_too_high_ && bytes(ack.bytes_in_flight) >= inflight_long_) {
    previous_probe_precautionary_ = true;
    return true;
  }
  if (window_limited_ && bytes(window_) >= inflight_long_) {
    reset_full_bandwidth();  // the bound, not the path, holds the rate
    full_bandwidth_ = sample_.rate;
    return false;
  }
  return full_bandwidth_now_;
}

// ---- the long-term model

bool Bbr3::adapt_long_term_model(const AckEvent&) {
  if (ack_phase_ == AckPhase::kProbeStarting && round_start_) ack_phase_ = AckPhase::kProbeFeedback;
  if (ack_phase_ == AckPhase::kProbeStopping && round_start_) {
    probe_sample_ = false;
    ack_phase_ = AckPhase::kInit;
    if (in_probe_bw() && !sample_.app_limited && max_bandwidth_[1] > 0) {
      max_bandwidth_ = {max_bandwidth_[1], 0.0};
    }
    if (in_probe_bw() && previous_probe_precautionary_ && !previous_probe_too_high_) {
      start_refill();
      return true;
    }
  }
  if (inflight_too_high() || inflight_long_ >= kInfinity) return false;
  inflight_long_ = std::max(inflight_long_, sample_.tx_in_flight);
  if (state_ == State::kUp) probe_long_term_upward();
  return false;
}

void Bbr3::raise_long_term_slope() {
  constexpr std::int32_t kSteepest = 30;
  const double growth = static_cast<double>(std::int64_t{1} << up_rounds_);
  up_rounds_ = std::min(up_rounds_ + 1, kSteepest);
  up_acked_per_packet_ = std::max(bytes(window_) / growth, packet_);
}

void Bbr3::probe_long_term_upward() {
  if (!window_limited_ || bytes(window_) < inflight_long_) return;
  up_acked_ += sample_.newly_acked;
  if (up_acked_ >= up_acked_per_packet_) {
    const auto packets = static_cast<std::int64_t>(up_acked_ / up_acked_per_packet_);
    up_acked_ -= static_cast<double>(packets) * up_acked_per_packet_;
    inflight_long_ += static_cast<double>(packets) * packet_;
  }
  if (round_start_) raise_long_term_slope();
}

}  // namespace mvfstrl
