#include "congestion/bbr.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace mvfstrl {

namespace {

constexpr std::uint64_t kPhases = 8;  // of a ProbeBw cycle, each about a minimum RTT long

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(std::string("bbr ") + what);
}

double to_us(Duration d) { return static_cast<double>(d.ns() / 1000); }
double to_bytes(ByteCount b) { return static_cast<double>(b.value()); }
ByteCount floor_bytes(double bytes) { return ByteCount(static_cast<std::int64_t>(bytes)); }

}  // namespace

void BbrConfig::validate() const {
  require(startup_gain > 1, "startup_gain must be above 1");
  require(startup_rtt_factor > 0, "startup_rtt_factor must be positive");
  require(startup_growth > 1, "startup_growth must be above 1");
  require(startup_flat_rounds >= 1, "startup_flat_rounds must be at least 1");
  require(window_gain > 0, "window_gain must be positive");
  require(probe_gain > 0, "probe_gain must be positive");
  require(drain_gain > 0, "drain_gain must be positive");
  require(bandwidth_rounds >= 1, "bandwidth_rounds must be at least 1");
  require(min_rtt_expiry > Duration::zero(), "min_rtt_expiry must be positive");
  require(probe_rtt >= Duration::zero(), "probe_rtt must not be negative");
  require(min_window_packets >= 1, "min_window_packets must be at least 1");
}

// ---- bandwidth

void BbrBandwidth::on_ack(const AckEvent& ack, std::uint64_t round) {
  limited_.on_ack(ack);
  for (const AckedPacket& packet : ack.packets) {
    if (packet.at_send == nullptr) continue;
    const DeliveryState& then = *packet.at_send;
    double rate = 0;
    if (then.delivered > ByteCount::zero()) {
      const double sent_us = to_us(packet.sent_time - then.acked_sent_time);
      if (sent_us > 0) rate = to_bytes(packet.sent_bytes - then.sent) / sent_us;
      Duration acked = ack.delivery.received_time - then.received_time;
      if (acked <= Duration::zero()) acked = ack.now - then.ack_time;
      if (const double acked_us = to_us(acked); acked_us > 0) {
        rate = std::max(rate, to_bytes(ack.delivery.delivered - then.delivered) / acked_us);
      }
    } else if (ack.now > packet.sent_time) {  // nothing had been acknowledged: over the RTT
      rate = to_bytes(ack.acked_bytes) / to_us(ack.now - packet.sent_time);
    }
    if (rate >= filter_.best() || !limited(packet)) filter_.update(rate, round);
  }
}

// ---- the controller

Bbr::Bbr(const BbrConfig& config, const WindowLimits& limits, Rng rng)
    : config_(config),
      limits_(limits),
      rng_(rng),
      pacing_gain_(config.startup_gain),
      window_gain_(config.startup_gain),
      window_(limits.initial()),
      pacing_window_(limits.initial()),
      bandwidth_(config.bandwidth_rounds),
      recovery_window_(limits.maximum()),
      ack_height_(static_cast<std::uint64_t>(config.bandwidth_rounds)) {
  limits_.validate();
  config_.validate();
}

void Bbr::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats&) {
  if (loss != nullptr) on_loss(*loss);
  if (ack != nullptr && !ack->packets.empty()) on_ack(*ack, loss != nullptr);
}

ByteCount Bbr::congestion_window() const {
  if (state_ == State::kProbeRtt) return minimum();
  return in_recovery() ? std::min(window_, recovery_window_) : window_;
}

void Bbr::on_ack(const AckEvent& ack, bool has_loss) {
  update_min_rtt(ack);
  const bool new_round = update_round(ack);
  const bool limited = bandwidth_.limited(ack.packets.back());
  bandwidth_.on_ack(ack, round_);
  if (in_recovery()) update_recovery(ack, new_round);
  update_ack_aggregation(ack);

  if (state_ == State::kProbeBw) advance_cycle(ack, has_loss);
  if (new_round && !limited) check_startup();
  if (state_ == State::kStartup && bottleneck_found_) enter_drain();
  if (state_ == State::kDrain && ack.bytes_in_flight <= target_window(1.0)) enter_probe_bw(ack.now);
  if (state_ != State::kProbeRtt && min_rtt_expired_) enter_probe_rtt(ack.largest_sent + 1);
  if (state_ == State::kProbeRtt) handle_probe_rtt(ack, new_round);
  update_window(ack);
  update_pacing_window(ack);
}

// ---- the model

void Bbr::update_min_rtt(const AckEvent& ack) {
  if (!ack.rtt) return;
  min_rtt_expired_ = !min_rtt_.is_zero() && min_rtt_ != Duration::infinite() &&
                     ack.now > min_rtt_time_ + config_.min_rtt_expiry;
  if (min_rtt_expired_ || *ack.rtt < min_rtt_) {
    min_rtt_ = *ack.rtt;
    min_rtt_time_ = ack.now;
  }
}

bool Bbr::update_round(const AckEvent& ack) {
  if (round_end_ && ack.packets.back().packet_number <= *round_end_) return false;
  ++round_;
  round_end_ = ack.largest_sent;
  return true;
}

// draft-cardwell-iccrg-bbr-congestion-control-00 section 4.2.3.2, with three quanta for what the hosts hold.
ByteCount Bbr::target_window(double gain) const {
  const double rate = bandwidth_.bytes_per_us();
  if (rate <= 0) return floor_bytes(gain * to_bytes(limits_.initial()));
  const double bdp = std::floor(rate * to_us(min_rtt_));
  return floor_bytes(bdp * gain) + send_quantum_ * 3;
}

ByteCount Bbr::bound(ByteCount window) const {
  return std::max(std::min(window, limits_.maximum()), minimum());
}

// An aggregate lasts as long as bytes are acknowledged faster than the bandwidth.
void Bbr::update_ack_aggregation(const AckEvent& ack) {
  if (!aggregation_start_) aggregation_start_ = ack.packets.front().sent_time;
  const ByteCount expected = floor_bytes(bandwidth_.bytes_per_us() * to_us(ack.now - *aggregation_start_));
  if (aggregated_ <= expected) {
    aggregated_ = ack.acked_bytes;
    aggregation_start_ = ack.now;
    return;
  }
  aggregated_ += ack.acked_bytes;
  ack_height_.update((aggregated_ - expected).value(), round_);
}

// ---- recovery: packet conservation for a round, then growth by what is acknowledged

void Bbr::on_loss(const LossEvent& loss) {
  recovery_end_ = loss.largest_sent;
  if (!in_recovery()) {
    recovery_ = Recovery::kConservation;
    // What is in flight after the event, and what it acknowledged.
    recovery_window_ = bound(loss.prior_in_flight - loss.lost_bytes);
    round_end_ = loss.largest_sent;  // conservation lasts a whole round
  }
  recovery_window_ = std::max(recovery_window_ - loss.lost_bytes, minimum());
  if (loss.persistent) recovery_window_ = minimum();
}

void Bbr::update_recovery(const AckEvent& ack, bool new_round) {
  if (new_round) recovery_ = Recovery::kGrowth;
  if (ack.packets.back().packet_number > recovery_end_) {
    recovery_ = Recovery::kNone;
    return;
  }
  if (recovery_ == Recovery::kGrowth) recovery_window_ += ack.acked_bytes;
  recovery_window_ = bound(std::max(recovery_window_, ack.bytes_in_flight + ack.acked_bytes));
}

// ---- Startup and Drain

void Bbr::check_startup() {
  if (bottleneck_found_) return;
  const double rate = bandwidth_.bytes_per_us();
  if (rate >= startup_bandwidth_ * config_.startup_growth) {
    startup_bandwidth_ = rate;
    flat_rounds_ = 0;
  } else if (++flat_rounds_ >= config_.startup_flat_rounds) {
    bottleneck_found_ = true;
  }
}

void Bbr::enter_drain() {
  state_ = State::kDrain;
  pacing_gain_ = 1.0 / config_.startup_gain;
  window_gain_ = config_.startup_gain;
}

// ---- ProbeBw

// Any phase of the cycle but the draining one.
void Bbr::enter_probe_bw(TimePoint now) {
  state_ = State::kProbeBw;
  window_gain_ = config_.window_gain;
  cycle_phase_ = (rng_.below(kPhases - 1) + 2) % kPhases;
  pacing_gain_ = cycle_gain();
  cycle_start_ = now;
}

double Bbr::cycle_gain() const {
  if (cycle_phase_ == 0) return config_.probe_gain;
  return cycle_phase_ == 1 ? config_.drain_gain : 1.0;
}

// A phase lasts a minimum RTT; probing also until what is in flight has grown so far (or something is lost),
// and draining no longer than until the queue is gone.
void Bbr::advance_cycle(const AckEvent& ack, bool has_loss) {
  bool advance = ack.now - cycle_start_ > min_rtt_;
  if (pacing_gain_ > 1.0 && !has_loss && ack.prior_in_flight < target_window(pacing_gain_)) advance = false;
  if (pacing_gain_ < 1.0 && ack.bytes_in_flight <= target_window(1.0)) advance = true;
  if (!advance) return;
  cycle_phase_ = (cycle_phase_ + 1) % kPhases;
  cycle_start_ = ack.now;
  pacing_gain_ = cycle_gain();
}

// ---- ProbeRtt

void Bbr::enter_probe_rtt(std::uint64_t next_packet) {
  state_ = State::kProbeRtt;
  pacing_gain_ = 1.0;
  probe_rtt_done_.reset();
  probe_rtt_round_done_ = false;
  bandwidth_.set_limited(next_packet);
}

// Stays for 200 ms and a round from when the window is down.
void Bbr::handle_probe_rtt(const AckEvent& ack, bool new_round) {
  bandwidth_.set_limited(ack.largest_sent + 1);
  if (!probe_rtt_done_) {
    if (ack.bytes_in_flight < congestion_window() + limits_.packet_size) {
      probe_rtt_done_ = ack.now + config_.probe_rtt;
      probe_rtt_round_done_ = false;
    }
    return;
  }
  if (new_round) probe_rtt_round_done_ = true;
  if (!probe_rtt_round_done_ || ack.now < *probe_rtt_done_) return;
  min_rtt_time_ = ack.now;
  if (bottleneck_found_) {
    enter_probe_bw(ack.now);
  } else {
    state_ = State::kStartup;
    pacing_gain_ = window_gain_ = config_.startup_gain;
  }
}

// ---- window and pace

void Bbr::update_window(const AckEvent& ack) {
  if (state_ == State::kProbeRtt) return;
  constexpr double kLowRate = 1.2;  // bytes a microsecond: 9.6 Mbit/s
  constexpr double kHighRate = 24;  // 192 Mbit/s
  constexpr double kMillisecond = 1000;
  const double rate = bandwidth_.bytes_per_us() * pacing_gain_;
  if (rate < kLowRate) {
    send_quantum_ = limits_.packet_size;
  } else if (rate < kHighRate) {
    send_quantum_ = limits_.packet_size * 2;
  } else {
    send_quantum_ = std::min(floor_bytes(rate * kMillisecond), ByteCount(64 * 1024));
  }
  ByteCount target = target_window(window_gain_);
  if (bottleneck_found_) {
    target += ByteCount(ack_height_.best());
    window_ = std::min(target, window_ + ack.acked_bytes);
  } else if (window_ < target || ack.delivery.delivered < limits_.initial()) {
    window_ += ack.acked_bytes;
  }
  window_ = bound(window_);
}

void Bbr::update_pacing_window(const AckEvent& ack) {
  const double rate = bandwidth_.bytes_per_us();
  if (rate <= 0 || ack.delivery.sent < limits_.initial()) return;
  const ByteCount target = floor_bytes(std::ceil(rate * pacing_gain_ * to_us(min_rtt_)));
  pacing_window_ = bottleneck_found_ ? target : std::max(pacing_window_, target);
  paced_ = true;
}

std::optional<Pace> Bbr::pace(const RttStats&) const {
  if (!paced_) return std::nullopt;
  const Duration over = state_ == State::kStartup ? min_rtt_.scaled(config_.startup_rtt_factor) : min_rtt_;
  return Pace{std::max(pacing_window_, minimum()), over, state_ == State::kDrain};
}

}  // namespace mvfstrl
