#include "congestion/cubic.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mvfstrl {

namespace {

ByteCount scaled(ByteCount bytes, double factor) {
  return ByteCount(static_cast<std::int64_t>(static_cast<double>(bytes.value()) * factor));
}

// Whole milliseconds, rounded up: mvfst's curve advances in these steps.
double ceil_ms(Duration d) { return static_cast<double>((d.ns() + 999'999) / 1'000'000); }

}  // namespace

void CubicConfig::validate() const {
  if (!(c > 0)) throw std::invalid_argument("cubic c must be positive");
  if (!(beta > 0 && beta < 1)) throw std::invalid_argument("cubic beta must lie between 0 and 1");
  if (!(last_max_factor > 0 && last_max_factor <= 1)) {
    throw std::invalid_argument("cubic last_max_factor must lie between 0 and 1");
  }
  if (hystart_samples < 1) throw std::invalid_argument("cubic hystart_samples must be at least 1");
  if (hystart_low_packets < 0) throw std::invalid_argument("cubic hystart_low_packets must not be negative");
  if (hystart_delay_low < Duration::zero() || hystart_delay_high < hystart_delay_low) {
    throw std::invalid_argument("cubic hystart_delay_low must lie between 0 and hystart_delay_high");
  }
  if (!(hystart_pacing_gain > 0)) throw std::invalid_argument("cubic hystart_pacing_gain must be positive");
  if (!(recovery_pacing_gain > 0)) throw std::invalid_argument("cubic recovery_pacing_gain must be positive");
}

Cubic::Cubic(const CubicConfig& config, const WindowLimits& limits)
    : config_(config), limits_(limits), window_(limits.initial()), reno_estimate_(limits.initial()) {
  limits_.validate();
  config_.validate();
}

double Cubic::pacing_gain() const {
  if (state_ == State::kHystart) return config_.hystart_pacing_gain;
  if (state_ == State::kRecovery) return config_.recovery_pacing_gain;
  return 1.0;
}

void Cubic::set_app_idle(bool idle, TimePoint now) {
  if (idle) {
    if (!idle_since_) idle_since_ = now;
    return;
  }
  // The silence does not count on the curve.
  if (idle_since_ && last_reduction_ && *idle_since_ <= now) *last_reduction_ += now - *idle_since_;
  idle_since_.reset();
}

void Cubic::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) {
  if (loss != nullptr) on_loss(*loss);
  if (ack != nullptr && !ack->packets.empty()) on_ack(*ack, rtt);
}

void Cubic::on_loss(const LossEvent& loss) {
  idle_since_.reset();
  // One reduction a window: what was sent before the last one does not count again.
  if (!recovery_end_ || loss.packets.back().packet_number > *recovery_end_) {
    recovery_end_ = loss.largest_sent;
    reduce(loss);
    state_ = State::kRecovery;
    ssthresh_ = window_;
  }
  if (loss.persistent) on_persistent_congestion();
}

void Cubic::reduce(const LossEvent& loss) {
  const bool rfc = config_.flavour == CubicFlavour::kRfc9438;
  if (window_ >= last_max_.value_or(window_)) {
    last_max_ = window_;
  } else {
    // The previous maximum was not reached again: someone else wants its share (RFC 9438 section 4.7).
    last_max_ = scaled(window_, rfc ? (1.0 + config_.beta) / 2.0 : config_.last_max_factor);
  }
  prior_window_ = window_;
  last_reduction_ = loss.now;
  // RFC 9438 section 4.6 cuts what was in flight, mvfst the window.
  const ByteCount base = rfc ? std::min(window_, loss.prior_in_flight) : window_;
  window_ = limits_.bound(scaled(base, config_.beta));
  reno_estimate_ = window_;
  growth_fraction_ = 0;
}

void Cubic::on_persistent_congestion() {
  ssthresh_ = std::max(window_ / 2, limits_.minimum());
  window_ = limits_.minimum();
  last_reduction_.reset();
  last_max_.reset();
  idle_since_.reset();
  round_.active = false;
  round_.exit_found = false;
  state_ = State::kHystart;
}

void Cubic::on_ack(const AckEvent& ack, const RttStats& rtt) {
  const bool rfc = config_.flavour == CubicFlavour::kRfc9438;
  if (recovery_end_ && ack.packets.back().packet_number <= *recovery_end_) return;
  if (rfc && ack.packets.back().app_limited) return;  // RFC 9438 section 5.8
  switch (state_) {
    case State::kHystart:
      on_ack_in_slow_start(ack, rtt);
      break;
    case State::kSteady:
      if (rfc) {
        grow_rfc9438(ack, rtt);
      } else {
        on_ack_in_steady(ack);
      }
      break;
    case State::kRecovery:
      // The first packet sent after the cut has arrived.
      state_ = State::kSteady;
      update_time_to_origin();
      if (!rfc) window_ = cubic_window(ack.now);
      break;
  }
}

void Cubic::on_ack_in_slow_start(const AckEvent& ack, const RttStats& rtt) {
  const bool hystart = config_.hystart && config_.flavour == CubicFlavour::kMvfst;
  if (!round_.active) start_round(ack);
  window_ = limits_.bound(window_ + ack.acked_bytes);
  bool leave = ssthresh_.has_value() && window_ >= *ssthresh_;
  if (!leave && hystart) {
    if (!round_.exit_found) round_.exit_found = delay_has_increased(rtt);
    leave = round_.exit_found && window_ >= limits_.packet_size * config_.hystart_low_packets;
  }
  if (leave) {
    leave_slow_start();
  } else if (ack.packets.back().packet_number > round_.end) {
    round_.active = false;
  }
}

void Cubic::start_round(const AckEvent& ack) {
  round_.active = true;
  round_.exit_found = false;
  round_.samples = 0;
  round_.last = round_.current;
  round_.current.reset();
  round_.end = ack.largest_sent;
}

// HyStart's delay increase (Ha and Rhee, "Taming the elephants: New TCP slow start", 2011): the least RTT of
// this round's first ACKs exceeds the last round's by a sixteenth, and by 4 to 16 ms.
bool Cubic::delay_has_increased(const RttStats& rtt) {
  if (round_.samples < config_.hystart_samples) {
    round_.current = std::min(round_.current.value_or(rtt.latest()), rtt.latest());
    if (++round_.samples < config_.hystart_samples) return false;
  }
  if (!round_.last) return false;
  const Duration rise = std::clamp(*round_.last / 16, config_.hystart_delay_low, config_.hystart_delay_high);
  return *round_.current >= *round_.last + rise;
}

void Cubic::leave_slow_start() {
  round_.active = false;
  round_.current.reset();
  ssthresh_ = window_;
  last_max_.reset();
  last_reduction_.reset();
  idle_since_.reset();
  state_ = State::kSteady;
}

void Cubic::update_time_to_origin() {
  origin_ = last_max_;
  if (*last_max_ <= window_) {
    time_to_origin_ms_ = 0;
    return;
  }
  const double packets =
      static_cast<double>((*last_max_ - window_).value()) / static_cast<double>(limits_.packet_size.value());
  time_to_origin_ms_ = std::cbrt(packets / config_.c) * 1000.0;
}

ByteCount Cubic::cubic_window(TimePoint now) const {
  const double since_origin = (ceil_ms(now - *last_reduction_) - time_to_origin_ms_) / 1000.0;
  const double packets = config_.c * since_origin * since_origin * since_origin;
  const double bytes = std::floor(packets * static_cast<double>(limits_.packet_size.value()));
  // Clamped before the conversion: the curve has no bound.
  const double target = std::clamp(bytes + static_cast<double>(last_max_->value()), 0.0,
                                   static_cast<double>(limits_.maximum().value()));
  return limits_.bound(ByteCount(static_cast<std::int64_t>(target)));
}

void Cubic::begin_curve_at_origin(TimePoint now) {
  if (!last_max_) {
    // From slow start without a loss: the window is its own maximum.
    time_to_origin_ms_ = 0;
    last_max_ = window_;
    origin_ = window_;
    prior_window_ = window_;
    reno_estimate_ = window_;
  } else if (origin_ != last_max_) {
    update_time_to_origin();
  }
  if (!last_reduction_) last_reduction_ = now;
}

void Cubic::on_ack_in_steady(const AckEvent& ack) {
  if (idle_since_) return;
  begin_curve_at_origin(ack.now);
  window_ = std::max(window_, cubic_window(ack.now));
  if (!config_.tcp_friendly) return;
  // What Reno would have with this beta: 3 (1 - beta) / (1 + beta) packets a window (RFC 9438 section 4.3).
  const double alpha = 3.0 * (1.0 - config_.beta) / (1.0 + config_.beta);
  const double growth = alpha * static_cast<double>(ack.acked_bytes.value()) *
                        static_cast<double>(limits_.packet_size.value()) /
                        static_cast<double>(reno_estimate_.value());
  reno_estimate_ = limits_.bound(reno_estimate_ + ByteCount(static_cast<std::int64_t>(growth)));
  window_ = std::max(window_, reno_estimate_);
}

void Cubic::grow_rfc9438(const AckEvent& ack, const RttStats& rtt) {
  if (idle_since_) return;
  begin_curve_at_origin(ack.now);
  const double packet = static_cast<double>(limits_.packet_size.value());
  const double window = static_cast<double>(window_.value());
  const double acked = static_cast<double>(ack.acked_bytes.value());
  // Section 4.3: once the estimate is back where the last cut was made, it grows as Reno does.
  const bool past_prior = reno_estimate_ >= prior_window_;
  const double alpha = past_prior ? 1.0 : 3.0 * (1.0 - config_.beta) / (1.0 + config_.beta);
  reno_fraction_ += alpha * acked * packet / window;
  const double whole_reno = std::floor(reno_fraction_);
  reno_fraction_ -= whole_reno;
  reno_estimate_ = limits_.bound(reno_estimate_ + ByteCount(static_cast<std::int64_t>(whole_reno)));
  if (config_.tcp_friendly && cubic_window(ack.now) < reno_estimate_) {
    window_ = std::max(window_, reno_estimate_);
    return;
  }
  // Section 4.2: towards where the curve will be a round trip from now, by at most half a window.
  const ByteCount target = std::clamp(cubic_window(ack.now + rtt.smoothed()), window_, window_ + window_ / 2);
  growth_fraction_ += static_cast<double>((target - window_).value()) * acked / window;
  const double whole = std::floor(growth_fraction_);
  growth_fraction_ -= whole;
  window_ = limits_.bound(window_ + ByteCount(static_cast<std::int64_t>(whole)));
}

}  // namespace mvfstrl
