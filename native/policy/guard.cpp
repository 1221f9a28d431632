#include "policy/guard.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace mvfstrl {

std::optional<GuardConfig::Problem> GuardConfig::problem() const {
  if (max_latency <= Duration::zero()) return Problem{"max_latency", "must be positive"};
  if (pinned_windows < 1) return Problem{"pinned_windows", "must be at least 1"};
  if (return_after < 1) return Problem{"return_after", "must be at least 1"};
  if (max_return_after < return_after) return Problem{"max_return_after", "must be at least return_after"};
  if (std::holds_alternative<ExternalConfig>(fallback)) {
    return Problem{"fallback", "must be a classic controller"};
  }
  return std::nullopt;
}

Guard::Guard(const GuardConfig& config, ByteCount minimum, ByteCount maximum)
    : max_latency_(config.max_latency),
      pinned_windows_(config.pinned_windows),
      return_after_(config.return_after),
      max_return_after_(config.max_return_after),
      minimum_(minimum),
      maximum_(maximum),
      wanted_(config.return_after) {
  if (const auto problem = config.problem()) {
    throw std::invalid_argument(std::string(problem->field) + " " + problem->requirement);
  }
}

Driver Guard::judge(TimePoint now, const Decision& decision, ByteCount window) {
  ++counters_.decisions;
  if (driver_ == Driver::kPolicy) {
    if (at_fault(decision)) {
      fall_back(now, window);
    } else {
      ++driven_;
    }
    return driver_;
  }
  ++counters_.shadowed;
  healthy_ = healthy(decision) ? healthy_ + 1 : 0;
  if (healthy_ >= wanted_) come_back(now, window);
  return driver_;
}

Duration Guard::fallback_time(TimePoint now) const {
  return driver_ == Driver::kFallback ? fallback_time_ + (now - fell_back_) : fallback_time_;
}

Guard::Bound Guard::bound_of(ByteCount window) const {
  if (minimum_ == maximum_) return Bound::kNone;
  if (window >= maximum_) return Bound::kMaximum;
  return window <= minimum_ ? Bound::kMinimum : Bound::kNone;
}

bool Guard::at_fault(const Decision& decision) {
  if (decision.latency > max_latency_) {
    reason_ = GuardReason::kLate;
    return true;
  }
  if (!decision.finite) {
    reason_ = GuardReason::kNonFinite;
    return true;
  }
  const Bound bound = bound_of(decision.window);
  pinned_ = bound == Bound::kNone ? 0 : bound == pinned_at_ ? pinned_ + 1 : 1;
  pinned_at_ = bound;
  if (pinned_ < pinned_windows_) return false;
  reason_ = bound == Bound::kMaximum ? GuardReason::kPinnedAtMaximum : GuardReason::kPinnedAtMinimum;
  return true;
}

bool Guard::healthy(const Decision& decision) const {
  if (decision.latency > max_latency_ || !decision.finite) return false;
  const Bound bound = bound_of(decision.window);
  return !(reason_ == GuardReason::kPinnedAtMaximum && bound == Bound::kMaximum) &&
         !(reason_ == GuardReason::kPinnedAtMinimum && bound == Bound::kMinimum);
}

void Guard::fall_back(TimePoint now, ByteCount window) {
  const bool relapsed = counters_.returns > 0 && driven_ < max_return_after_;
  // Halves are compared, because twice the number may be more than the type holds.
  wanted_ = !relapsed ? return_after_ : wanted_ > max_return_after_ / 2 ? max_return_after_ : 2 * wanted_;
  driver_ = Driver::kFallback;
  fell_back_ = now;
  healthy_ = 0;
  pinned_at_ = Bound::kNone;  // windows at a bound count afresh
  ++counters_.fallbacks[static_cast<std::size_t>(reason_)];
  report(now, window);
}

void Guard::come_back(TimePoint now, ByteCount window) {
  driver_ = Driver::kPolicy;
  fallback_time_ += now - fell_back_;
  driven_ = 0;
  ++counters_.returns;
  report(now, window);
}

void Guard::report(TimePoint now, ByteCount window) const {
  if (log_ != nullptr) log_->on_guard_event({now, driver_, reason_, window});
}

}  // namespace mvfstrl
