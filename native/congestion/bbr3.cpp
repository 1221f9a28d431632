// Events and control parameters: "Per-ACK Steps", "Updating Control Parameters".
#include "congestion/bbr3.h"

#include <stdexcept>
#include <string>

namespace mvfstrl {

namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(std::string("bbr3 ") + what);
}

}  // namespace

void Bbr3Config::validate() const {
  require(startup_pacing_gain > 1, "startup_pacing_gain must be above 1");
  require(startup_growth > 1, "startup_growth must be above 1");
  require(startup_flat_rounds >= 1, "startup_flat_rounds must be at least 1");
  require(startup_loss_ranges >= 1, "startup_loss_ranges must be at least 1");
  require(drain_pacing_gain > 0, "drain_pacing_gain must be positive");
  require(window_gain > 0, "window_gain must be positive");
  require(up_pacing_gain > 0, "up_pacing_gain must be positive");
  require(up_window_gain > 0, "up_window_gain must be positive");
  require(down_pacing_gain > 0, "down_pacing_gain must be positive");
  require(loss_threshold > 0 && loss_threshold < 1, "loss_threshold must lie between 0 and 1");
  require(beta > 0 && beta <= 1, "beta must lie between 0 and 1");
  require(headroom >= 0 && headroom < 1, "headroom must be at least 0 and below 1");
  require(pacing_margin >= 0 && pacing_margin < 1, "pacing_margin must be at least 0 and below 1");
  require(min_rtt_expiry > Duration::zero(), "min_rtt_expiry must be positive");
  require(probe_rtt_interval > Duration::zero(), "probe_rtt_interval must be positive");
  require(probe_rtt >= Duration::zero(), "probe_rtt must not be negative");
  require(probe_rtt_window_gain > 0, "probe_rtt_window_gain must be positive");
  require(probe_wait_low > Duration::zero(), "probe_wait_low must be positive");
  require(probe_wait_high >= probe_wait_low, "probe_wait_high must not be below probe_wait_low");
  require(reno_rounds >= 1, "reno_rounds must be at least 1");
  require(extra_acked_rounds >= 1, "extra_acked_rounds must be at least 1");
  require(min_window_packets >= 1, "min_window_packets must be at least 1");
}

Bbr3::Bbr3(const Bbr3Config& config, const WindowLimits& limits, Rng rng)
    : config_(config),
      limits_(limits),
      rng_(rng),
      packet_(bytes(limits.packet_size)),
      pacing_gain_(config.startup_pacing_gain),
      window_gain_(config.window_gain),
      window_(limits.initial()),
      extra_acked_(1) {
  limits_.validate();
  config_.validate();
}

std::optional<ByteCount> Bbr3::inflight_long_term() const {
  if (inflight_long_ >= kInfinity) return std::nullopt;
  return whole(inflight_long_);
}

std::optional<ByteCount> Bbr3::inflight_short_term() const {
  if (inflight_short_ >= kInfinity) return std::nullopt;
  return whole(inflight_short_);
}

void Bbr3::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats&) {
  if (ack != nullptr && !ack->packets.empty()) {
    delivered_ = bytes(ack->delivery.delivered);
    window_limited_ = ack->prior_in_flight + limits_.packet_size > window_;
  }
  if (loss != nullptr) on_loss(*loss);
  if (ack != nullptr && !ack->packets.empty()) on_ack(*ack);
}

// "Modulating cwnd in Loss Recovery". Where TCP has a retransmission timeout, QUIC has persistent congestion.
void Bbr3::on_loss(const LossEvent& loss) {
  note_loss(loss);
  if (!recovering_) {
    save_window();
    recovering_ = true;
    recovery_end_ = loss.largest_sent;
  }
  double lost = bytes(loss.delivery.lost - loss.lost_bytes);
  for (const LostPacket& packet : loss.packets) {
    lost += bytes(packet.size);
    handle_lost_packet(packet, lost, loss.now);
  }
  if (loss.persistent) {
    save_window();
    window_ = limits_.bound(loss.prior_in_flight - loss.lost_bytes + limits_.packet_size);
  }
}

void Bbr3::on_ack(const AckEvent& ack) {
  sample_ = sample_of(ack);
  was_recovering_ = recovering_;
  if (recovering_ && ack.packets.back().packet_number > recovery_end_) {
    recovering_ = false;
    restore_window();
  }
  update_latest_delivery(ack);
  update_congestion_signals(ack);
  update_ack_aggregation(ack);
  check_full_bandwidth();
  check_startup_done();
  check_drain_done(ack);
  update_probe_bw(ack);
  update_min_rtt(ack);
  check_probe_rtt(ack);
  advance_latest_delivery();
  bandwidth_ = std::min(max_bandwidth(), bandwidth_short_);
  update_control(ack);
}

// ---- control parameters

void Bbr3::update_control(const AckEvent& ack) {
  if (pacing_rate_ <= 0 && ack.rtt && *ack.rtt > Duration::zero()) {
    pacing_rate_ = config_.startup_pacing_gain * bytes(limits_.initial()) / ack.rtt->to_seconds();
  }
  set_pacing_rate(pacing_gain_);
  constexpr double kLargestQuantum = 64 * 1024;
  constexpr double kMillisecond = 1e-3;
  send_quantum_ = std::max(std::min(pacing_rate_ * kMillisecond, kLargestQuantum), 2 * packet_);
  update_window(ack);
}

// "Pacing Rate": before the pipe is known to be full, it only ever rises.
void Bbr3::set_pacing_rate(double gain) {
  const double rate = gain * bandwidth_ * (1 - config_.pacing_margin);
  if (full_bandwidth_reached_ || rate > pacing_rate_) pacing_rate_ = rate;
}

std::optional<Bandwidth> Bbr3::pacing_rate() const {
  if (pacing_rate_ <= 0) return std::nullopt;
  return Bandwidth::from_bps(pacing_rate_ * 8);
}

std::optional<Pace> Bbr3::pace(const RttStats& rtt) const {
  if (pacing_rate_ <= 0) return std::nullopt;
  return CongestionController::pace(rtt);
}

double Bbr3::bdp_multiple(double bandwidth, double gain) const {
  if (min_rtt_ == Duration::infinite()) return bytes(limits_.initial());
  return gain * bandwidth * min_rtt_.to_seconds();
}

// "QUIC Offload Budget": one quantum; what receivers hold back is part of extra_acked.
double Bbr3::with_quantization(double in_flight) const {
  const double bounded = std::max({in_flight, send_quantum_, minimum()});
  return state_ == State::kUp ? bounded + 2 * packet_ : bounded;
}

double Bbr3::inflight(double bandwidth, double gain) const {
  return with_quantization(bdp_multiple(bandwidth, gain));
}

// "cwnd Adjustment Mechanism"
void Bbr3::update_window(const AckEvent& ack) {
  const double most = with_quantization(bdp_multiple(window_gain_) + extra_acked_.best());
  const double now = bytes(window_);
  double next = now;
  if (full_bandwidth_reached_) {
    next = std::min(now + sample_.newly_acked, most);
  } else if (now < most || ack.delivery.delivered < limits_.initial()) {
    next = now + sample_.newly_acked;
  }
  next = std::max(next, minimum());
  if (state_ == State::kProbeRtt) next = std::min(next, probe_rtt_window());
  window_ = whole(next);
  bound_window_for_model();
}

// "Bounding cwnd Based on Recent Congestion"
void Bbr3::bound_window_for_model() {
  double cap = kInfinity;
  if (state_ == State::kProbeRtt || state_ == State::kCruise) {
    cap = inflight_with_headroom();
  } else if (in_probe_bw()) {
    cap = inflight_long_;
  }
  cap = std::max(std::min(cap, inflight_short_), minimum());
  window_ = std::min(whole(std::min(bytes(window_), cap)), limits_.maximum());
}

void Bbr3::save_window() {
  const bool known_good = !recovering_ && state_ != State::kProbeRtt;
  prior_window_ = known_good ? window_ : std::max(prior_window_, window_);
}

// "Restarting From Idle"
void Bbr3::set_app_idle(bool idle, TimePoint now) {
  if (idle) return;
  idle_restart_ = true;
  extra_acked_start_ = now;
  if (in_probe_bw()) {
    set_pacing_rate(1.0);
  } else if (state_ == State::kProbeRtt) {
    check_probe_rtt_done(now);
  }
}

}  // namespace mvfstrl
