#include "congestion/ledbat.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mvfstrl {

namespace {
// LEDBAT++ begins with as many packets, and slows down to them (sections 4.1 and 4.4).
constexpr std::int64_t kFewPackets = 2;

double bytes(ByteCount count) { return static_cast<double>(count.value()); }
}  // namespace

void LedbatConfig::validate() const {
  if (target <= Duration::zero()) throw std::invalid_argument("ledbat target must be positive");
  if (!(gain > 0)) throw std::invalid_argument("ledbat gain must be positive");
  if (!(allowed_increase_packets > 0))
    throw std::invalid_argument("ledbat allowed_increase_packets must be positive");
  if (base_window <= Duration::zero()) throw std::invalid_argument("ledbat base_window must be positive");
  if (max_gain_divisor < 1) throw std::invalid_argument("ledbat max_gain_divisor must be at least 1");
  if (!(decrease > 0)) throw std::invalid_argument("ledbat decrease must be positive");
  if (!(slow_start_exit > 0)) throw std::invalid_argument("ledbat slow_start_exit must be positive");
  if (slowdown_rtts < 1) throw std::invalid_argument("ledbat slowdown_rtts must be at least 1");
  if (!(slowdown_interval > 0)) throw std::invalid_argument("ledbat slowdown_interval must be positive");
}

Ledbat::Ledbat(const LedbatConfig& config, const WindowLimits& limits)
    : config_(config),
      limits_(limits),
      state_(config.flavour == LedbatFlavour::kLedbatpp ? State::kSlowStart : State::kAvoidance),
      window_(bytes(limits.initial())) {
  limits_.validate();
  config_.validate();
  if (plus()) set_window(bytes(limits_.packet_size * kFewPackets));
}

void Ledbat::set_window(double value) {
  window_ = std::clamp(value, bytes(limits_.minimum()), bytes(limits_.maximum()));
}

void Ledbat::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) {
  if (loss != nullptr) on_loss(*loss);
  if (ack != nullptr && !ack->packets.empty()) on_ack(*ack, rtt);
}

// At most once a round trip (RFC 6817 section 2.4.2); a slowdown goes on as it was.
void Ledbat::on_loss(const LossEvent& loss) {
  if (!recovery_end_ || loss.packets.back().packet_number > *recovery_end_) {
    recovery_end_ = loss.largest_sent;
    set_window(window_ / 2);
    if (state_ != State::kSlowdown) ssthresh_ = window_;
  }
  if (loss.persistent) set_window(bytes(limits_.minimum()));
}

void Ledbat::on_ack(const AckEvent& ack, const RttStats& rtt) {
  measure(ack);
  if (samples_ == 0) return;
  if (plus()) {
    on_ack_plus(ack, rtt);
  } else {
    avoid_rfc6817(ack);
  }
}

void Ledbat::measure(const AckEvent& ack) {
  if (!ack.rtt) return;
  const Duration path = *ack.rtt > ack.ack_delay ? *ack.rtt - ack.ack_delay : *ack.rtt;
  base_.update(ack.now, path, config_.base_window);
  recent_[samples_++ % recent_.size()] = path;
  const auto known = std::min(samples_, recent_.size());
  const Duration current =
      *std::min_element(recent_.begin(), recent_.begin() + static_cast<std::ptrdiff_t>(known));
  queueing_ = std::max(Duration::zero(), current - base_.best());
}

// RFC 6817 section 2.4.2.
void Ledbat::avoid_rfc6817(const AckEvent& ack) {
  const double off_target = 1 - queueing_ / config_.target;
  const double packet = bytes(limits_.packet_size);
  const double wanted = window_ + config_.gain * off_target * bytes(ack.acked_bytes) * packet / window_;
  const double allowed = bytes(ack.prior_in_flight) + config_.allowed_increase_packets * packet;
  set_window(std::min(wanted, std::max(allowed, bytes(limits_.minimum()))));
}

void Ledbat::on_ack_plus(const AckEvent& ack, const RttStats& rtt) {
  if (state_ == State::kSlowdown) {
    if (ack.now < frozen_until_) return;
    state_ = State::kRamp;
  }
  if (state_ == State::kAvoidance) {
    if (next_slowdown_ && ack.now >= *next_slowdown_) {
      begin_slowdown(ack.now, rtt.smoothed());
    } else {
      avoid_plus(ack);
    }
    return;
  }
  if (!ack.packets.back().app_limited) set_window(window_ + plus_gain() * bytes(ack.acked_bytes));
  const bool initial = state_ == State::kSlowStart;
  const bool delayed = initial && queueing_ > config_.target.scaled(config_.slow_start_exit);
  if (!delayed && !(ssthresh_ && window_ >= *ssthresh_)) return;
  state_ = State::kAvoidance;
  next_slowdown_ = initial ? ack.now + rtt.smoothed() * config_.slowdown_rtts
                           : ack.now + (ack.now - slowdown_start_).scaled(config_.slowdown_interval);
}

// Sections 4.2 and 4.3: a round trip adds the gain, and takes the excess over the target away as a share of
// the window, at most half of it.
void Ledbat::avoid_plus(const AckEvent& ack) {
  const double excess = std::max(0.0, queueing_ / config_.target - 1);
  double a_round = plus_gain() * bytes(limits_.packet_size) - config_.decrease * window_ * excess;
  if (a_round > 0 && ack.packets.back().app_limited) return;
  a_round = std::max(a_round, -window_ / 2);
  set_window(window_ + a_round * bytes(ack.acked_bytes) / window_);
}

// Section 4.4: the queue drains, and everybody sees the base delay.
void Ledbat::begin_slowdown(TimePoint now, Duration smoothed_rtt) {
  state_ = State::kSlowdown;
  ssthresh_ = window_;
  set_window(bytes(limits_.packet_size * kFewPackets));
  slowdown_start_ = now;
  frozen_until_ = now + smoothed_rtt * config_.slowdown_rtts;
}

// Section 4.2.
double Ledbat::plus_gain() const {
  const double ratio = std::ceil(2 * (config_.target / base_.best()));
  return 1 / std::clamp(ratio, 1.0, static_cast<double>(config_.max_gain_divisor));
}

}  // namespace mvfstrl
