#include "congestion/copa.h"

#include <algorithm>
#include <stdexcept>

namespace mvfstrl {

namespace {
// Moves any window from bound to bound in one step. (mvfst's integer doubles on, and would wrap.)
constexpr double kMaximumVelocity = 1 << 30;
}  // namespace

void CopaConfig::validate() const {
  if (!(delta > 0)) throw std::invalid_argument("copa delta must be positive");
  if (min_rtt_window <= Duration::zero()) throw std::invalid_argument("copa min_rtt_window must be positive");
  if (!(pacing_gain > 0)) throw std::invalid_argument("copa pacing_gain must be positive");
}

Copa::Copa(const CopaConfig& config, const WindowLimits& limits)
    : config_(config), limits_(limits), window_(limits.initial()) {
  limits_.validate();
  config_.validate();
}

void Copa::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) {
  if (loss != nullptr && loss->persistent) window_ = limits_.minimum();
  if (ack != nullptr && !ack->packets.empty() && rtt.has_sample()) on_ack(*ack, rtt);
}

// ACKs without a sample of their own repeat the latest RTT, as in mvfst.
void Copa::on_ack(const AckEvent& ack, const RttStats& rtt) {
  min_rtt_.update(ack.now, rtt.latest(), config_.min_rtt_window);
  standing_rtt_.update(ack.now, rtt.latest(), config_.standing_rtt ? rtt.smoothed() : rtt.smoothed() / 2);
  const Duration standing = standing_rtt_.best();
  // The short window may hold less than the long one for a moment, as neither keeps every sample.
  if (standing < min_rtt_.best()) return;
  const Duration delay = (config_.standing_rtt ? standing : rtt.latest()) - min_rtt_.best();
  const bool up = below_target(delay, standing);
  if (!(up && slow_start_)) check_direction(ack.now, rtt.smoothed());
  if (up) {
    grow(ack, rtt);
  } else {
    shrink(ack);
  }
}

// Section 2.1, step 2: the current rate, window / standing RTT, against the target, 1 packet / (delta delay).
bool Copa::below_target(Duration delay, Duration standing) const {
  if (delay.is_zero()) return true;
  const double target =
      static_cast<double>(limits_.packet_size.value()) / (config_.delta * delay.to_seconds());
  return target >= static_cast<double>(window_.value()) / standing.to_seconds();
}

void Copa::grow(const AckEvent& ack, const RttStats& rtt) {
  if (slow_start_) {
    if (!doubled_at_) {
      doubled_at_ = ack.now;
    } else if (ack.now - *doubled_at_ > rtt.smoothed()) {
      window_ = limits_.bound(window_ * 2);
      doubled_at_ = ack.now;
    }
    return;
  }
  if (velocity_ > 1) turn(Direction::kUp, ack.now);
  const double room = static_cast<double>((limits_.maximum() - window_).value());
  window_ += ByteCount(static_cast<std::int64_t>(std::min(step_bytes(ack), room)));
}

void Copa::shrink(const AckEvent& ack) {
  if (velocity_ > 1) turn(Direction::kDown, ack.now);
  slow_start_ = false;
  const double room = static_cast<double>((window_ - limits_.minimum()).value());
  window_ -= ByteCount(static_cast<std::int64_t>(std::min(step_bytes(ack), room)));
}

// A velocity gathered one way must not carry the window the other way.
void Copa::turn(Direction direction, TimePoint now) {
  if (direction_ == direction) return;
  direction_ = direction;
  velocity_ = 1;
  rounds_in_direction_ = 0;
  recorded_at_ = now;
  recorded_window_ = window_;
}

// Section 2.1, step 3: the velocity doubles a round trip once the direction has held for three.
void Copa::check_direction(TimePoint now, Duration smoothed_rtt) {
  if (!recorded_at_) {
    recorded_at_ = now;
    recorded_window_ = window_;
    return;
  }
  if (now - *recorded_at_ < smoothed_rtt) return;
  const Direction direction = window_ > recorded_window_ ? Direction::kUp : Direction::kDown;
  if (direction != direction_) {
    velocity_ = 1;
    rounds_in_direction_ = 0;
  } else if (++rounds_in_direction_ >= (config_.standing_rtt ? 4 : 3)) {
    velocity_ = std::min(2 * velocity_, kMaximumVelocity);
  }
  direction_ = direction;
  recorded_at_ = now;
  recorded_window_ = window_;
}

// velocity / (delta window) packets for each one acknowledged.
double Copa::step_bytes(const AckEvent& ack) const {
  const double packet = static_cast<double>(limits_.packet_size.value());
  return static_cast<double>(ack.packets.size()) * packet * packet * velocity_ /
         (config_.delta * static_cast<double>(window_.value()));
}

}  // namespace mvfstrl
