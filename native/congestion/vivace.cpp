#include "congestion/vivace.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mvfstrl {
namespace {

double seconds_between(TimePoint from, TimePoint to) { return (to - from).to_seconds(); }

// Confidence grows with each change in the same direction (section 4.2).
double amplifier(int consecutive) {
  if (consecutive <= 1) return 1;
  return consecutive <= 3 ? consecutive : 2 * consecutive - 3;
}

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

}  // namespace

Vivace::Vivace(const VivaceConfig& config, const WindowLimits& limits, Rng rng)
    : config_(config), limits_(limits), rng_(rng), window_(limits.initial()) {
  limits_.validate();
  require(config_.exponent > 0 && config_.exponent <= 1, "exponent must be above 0 and at most 1");
  require(config_.latency_factor >= 0, "latency_factor must be zero or more");
  require(config_.loss_factor >= 0, "loss_factor must be zero or more");
  require(config_.probe_step > 0 && config_.probe_step < 1, "probe_step must be between 0 and 1");
  require(config_.conversion > 0, "conversion must be positive");
  require(config_.change_bound > 0 && config_.change_bound < 1, "change_bound must be between 0 and 1");
  require(config_.change_bound_step >= 0, "change_bound_step must be zero or more");
  require(config_.interval_packets >= 1, "interval_packets must be at least 1");
  require(config_.timeout_rtts > 1, "timeout_rtts must be above 1");
}

double Vivace::utility(double mbps, double rtt_gradient, double loss) const {
  return std::pow(mbps, config_.exponent) - config_.latency_factor * mbps * rtt_gradient -
         config_.loss_factor * mbps * loss;
}

std::optional<Bandwidth> Vivace::pacing_rate() const {
  if (intervals_.empty()) return std::nullopt;
  return Bandwidth::from_mbps(intervals_.back().mbps);
}

void Vivace::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) {
  if (loss != nullptr) count_lost(*loss);
  if (ack != nullptr) count_acked(*ack);
  if (!rtt.has_sample()) return;
  const TimePoint now = ack != nullptr ? ack->now : loss->now;
  const std::uint64_t largest_sent = ack != nullptr ? ack->largest_sent : loss->largest_sent;
  const Duration srtt = rtt.smoothed();
  floor_rate_ = Bandwidth::from_bytes_over(limits_.minimum(), srtt).to_mbps();
  if (rate_ == 0) {
    rate_ = Bandwidth::from_bytes_over(limits_.initial(), srtt).to_mbps();
    start_trial();
    begin_interval(now, largest_sent);
  }
  const bool silent = now - intervals_.front().ended > srtt.scaled(config_.timeout_rtts);
  if ((loss != nullptr && loss->persistent) || (intervals_.front().end && silent)) on_timeout();
  collect_results();
  // A new trial does not wait for the end of the interval that bridged the time until the last one's results.
  const bool bridging = !intervals_.back().measured && !to_measure_.empty();
  if (bridging || due(now, largest_sent, srtt)) {
    end_interval(now, largest_sent);
    begin_interval(now, largest_sent);
  }
  set_window(srtt);
}

// ---- what became of packets

MonitorInterval* Vivace::interval_of(std::uint64_t packet) {
  const auto found = std::find_if(intervals_.begin(), intervals_.end(),
                                  [&](const MonitorInterval& interval) { return interval.holds(packet); });
  return found == intervals_.end() ? nullptr : &*found;
}

void Vivace::count_acked(const AckEvent& ack) {
  for (const AckedPacket& packet : ack.packets) {
    MonitorInterval* interval = interval_of(packet.packet_number);
    if (interval == nullptr) continue;
    ++interval->acked_packets;
    interval->acked += packet.size;
    interval->app_limited |= packet.app_limited;
  }
  if (!ack.rtt || ack.packets.empty()) return;
  // The packet that an ACK answers: others of the same ACK have waited for it.
  const AckedPacket& newest = ack.packets.back();
  if (MonitorInterval* interval = interval_of(newest.packet_number)) {
    interval->rtt.add(seconds_between(interval->begun, newest.sent_time),
                      (*ack.rtt - ack.ack_delay).to_seconds());
  }
}

void Vivace::count_lost(const LossEvent& loss) {
  for (const LostPacket& packet : loss.packets) {
    if (MonitorInterval* interval = interval_of(packet.packet_number)) {
      ++interval->lost_packets;
      interval->lost += packet.size;
    }
  }
}

// ---- intervals

bool Vivace::due(TimePoint now, std::uint64_t largest_sent, Duration srtt) const {
  const MonitorInterval& current = intervals_.back();
  const auto packets = static_cast<std::int64_t>(largest_sent + 1 - current.first);
  return packets >= config_.interval_packets && now - current.begun >= srtt;
}

void Vivace::begin_interval(TimePoint now, std::uint64_t largest_sent) {
  MonitorInterval interval;
  interval.first = largest_sent + 1;
  interval.begun = now;
  interval.measured = !to_measure_.empty();
  interval.mbps = interval.measured ? to_measure_.front() : rate_;
  if (interval.measured) to_measure_.pop_front();
  intervals_.push_back(interval);
}

void Vivace::end_interval(TimePoint now, std::uint64_t largest_sent) {
  MonitorInterval& current = intervals_.back();
  current.end = largest_sent + 1;
  current.ended = now;
  if (*current.end == current.first && !current.measured) intervals_.pop_back();
}

void Vivace::collect_results() {
  while (!intervals_.empty() && intervals_.front().complete()) {
    const MonitorInterval interval = intervals_.front();
    intervals_.pop_front();
    if (interval.measured) on_result(interval);
  }
}

void Vivace::on_result(const MonitorInterval& interval) {
  if (results_wanted_ == 0) return;  // of a trial that was given up
  if (interval.app_limited) {        // says nothing of the rate: once more
    start_trial();
    return;
  }
  double gradient = interval.rtt_gradient(config_.gradient_floor, config_.gradient_errors);
  if (!config_.reward_draining) gradient = std::max(0.0, gradient);
  const double loss = interval.loss_rate();
  results_.push_back({interval.mbps, utility(interval.mbps, gradient, loss), gradient, loss});
  if (static_cast<std::int64_t>(results_.size()) < results_wanted_) return;
  if (starting_) {
    on_starting_result(results_.front());
  } else {
    on_pair();
  }
  start_trial();
}

// ---- decisions

// Starting, one rate is tried at a time; afterwards, two around the sender's own, in random order.
void Vivace::start_trial() {
  results_.clear();
  for (MonitorInterval& interval : intervals_) interval.measured = false;
  if (starting_) {
    to_measure_ = {rate_};
  } else {
    const double step = rng_.bernoulli(0.5) ? config_.probe_step : -config_.probe_step;
    to_measure_ = {rate_ * (1 + step), rate_ * (1 - step)};
  }
  results_wanted_ = static_cast<std::int64_t>(to_measure_.size());
}

void Vivace::on_starting_result(const Trial& trial) {
  if (!last_utility_ || trial.utility > *last_utility_) {
    last_utility_ = trial.utility;
    rate_ *= 2;
    return;
  }
  starting_ = false;
  rate_ = std::max(rate_ / 2, floor_rate_);
}

void Vivace::on_pair() {
  const bool rising = results_[0].mbps < results_[1].mbps;
  const Trial& low = results_[rising ? 0 : 1];
  const Trial& high = results_[rising ? 1 : 0];
  const double gradient = (high.utility - low.utility) / (high.mbps - low.mbps);
  if (checking_) {
    checking_ = false;
    change_rate((gradient + checked_gradient_) / 2);
    return;
  }
  // A higher rate does not cause less loss or a queue that grows more slowly: look again before believing it.
  if (gradient > 0 && (high.loss < low.loss || high.gradient < low.gradient)) {
    checking_ = true;
    checked_gradient_ = gradient;
    return;
  }
  change_rate(gradient);
}

void Vivace::change_rate(double gradient) {
  if (gradient == 0) return;
  const int direction = gradient > 0 ? 1 : -1;
  if (direction != direction_) {
    direction_ = direction;
    consecutive_ = 0;
    bound_exceeded_ = 0;
  }
  ++consecutive_;
  double change = amplifier(consecutive_) * config_.conversion * std::abs(gradient);
  const double bound = config_.change_bound + bound_exceeded_ * config_.change_bound_step;
  if (change > bound * rate_) {
    change = bound * rate_;
    ++bound_exceeded_;
  } else {
    while (bound_exceeded_ > 0 &&
           change <= (config_.change_bound + (bound_exceeded_ - 1) * config_.change_bound_step) * rate_) {
      --bound_exceeded_;
    }
  }
  rate_ = std::max(rate_ + direction * std::min(change, rate_ / 2), floor_rate_);
}

void Vivace::on_timeout() {
  rate_ = std::max(rate_ / 2, floor_rate_);
  starting_ = false;
  checking_ = false;
  direction_ = consecutive_ = bound_exceeded_ = 0;
  intervals_.erase(intervals_.begin(), intervals_.end() - 1);
  start_trial();
}

void Vivace::set_window(Duration srtt) {
  window_ = limits_.bound(Bandwidth::from_mbps(2 * intervals_.back().mbps).bytes_in(srtt));
}

}  // namespace mvfstrl
