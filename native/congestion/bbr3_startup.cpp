// "Startup", "Drain" and "ProbeRTT": the states outside ProbeBW.
#include "congestion/bbr3.h"

namespace mvfstrl {

void Bbr3::enter(State state, double pacing_gain, double window_gain) {
  state_ = state;
  pacing_gain_ = pacing_gain;
  window_gain_ = window_gain;
}

// ---- Startup and Drain

void Bbr3::reset_full_bandwidth() {
  full_bandwidth_ = 0;
  full_bandwidth_rounds_ = 0;
  full_bandwidth_now_ = false;
}

// "Exiting Acceleration Based on Bandwidth Plateau"
void Bbr3::check_full_bandwidth() {
  if (full_bandwidth_now_ || !round_start_ || sample_.app_limited || sample_.rate <= 0) return;
  if (sample_.rate >= full_bandwidth_ * config_.startup_growth) {
    reset_full_bandwidth();
    full_bandwidth_ = sample_.rate;
    return;
  }
  full_bandwidth_now_ = ++full_bandwidth_rounds_ >= config_.startup_flat_rounds;
  if (full_bandwidth_now_) full_bandwidth_reached_ = true;
}

// "Exiting Startup Based on Packet Loss": at the end of a round that began with the first loss.
bool Bbr3::startup_loses_too_much() const {
  return loss_round_start_ && was_recovering_ && loss_ranges_in_round_ >= config_.startup_loss_ranges &&
         inflight_too_high();
}

void Bbr3::check_startup_done() {
  if (state_ != State::kStartup) return;
  if (startup_loses_too_much()) {
    full_bandwidth_reached_ = true;
    inflight_long_ = std::max(bdp_multiple(max_bandwidth(), 1.0), inflight_latest_);
  }
  if (!full_bandwidth_reached_) return;
  enter(State::kDrain, config_.drain_pacing_gain, config_.window_gain);
  drain_start_round_ = round_;
}

void Bbr3::check_drain_done(const AckEvent& ack) {
  constexpr std::uint64_t kLongestDrain = 3;  // rounds
  if (state_ != State::kDrain) return;
  const bool drained = bytes(ack.bytes_in_flight) <= inflight(bandwidth_, 1.0);
  if (drained || round_ > drain_start_round_ + kLongestDrain) start_down(ack.now);
}

// ---- ProbeRTT

double Bbr3::probe_rtt_window() const {
  return std::max(bdp_multiple(config_.probe_rtt_window_gain), minimum());
}

void Bbr3::check_probe_rtt(const AckEvent& ack) {
  if (state_ != State::kProbeRtt && probe_rtt_expired_ && !idle_restart_) {
    save_window();
    enter(State::kProbeRtt, 1.0, config_.probe_rtt_window_gain);
    probe_rtt_done_.reset();
    ack_phase_ = AckPhase::kProbeStopping;
    start_round();
  }
  if (state_ == State::kProbeRtt) handle_probe_rtt(ack);
  if (sample_.delivered > 0) idle_restart_ = false;
}

void Bbr3::handle_probe_rtt(const AckEvent& ack) {
  limited_.mark(ack.largest_sent + 1);
  if (!probe_rtt_done_) {
    if (bytes(ack.bytes_in_flight) > probe_rtt_window()) return;
    probe_rtt_done_ = ack.now + config_.probe_rtt;
    probe_rtt_round_done_ = false;
    start_round();
    return;
  }
  if (round_start_) probe_rtt_round_done_ = true;
  if (probe_rtt_round_done_) check_probe_rtt_done(ack.now);
}

// "Exiting ProbeRTT"
void Bbr3::check_probe_rtt_done(TimePoint now) {
  if (!probe_rtt_done_ || now <= *probe_rtt_done_) return;
  probe_rtt_min_time_ = now;
  restore_window();
  reset_short_term_model();
  if (full_bandwidth_reached_) {
    start_down(now);
    start_cruise();
  } else {
    enter(State::kStartup, config_.startup_pacing_gain, config_.window_gain);
  }
}

}  // namespace mvfstrl
