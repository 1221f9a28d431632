#include "congestion/windowed_min.h"

namespace mvfstrl {

void WindowedMin::update(TimePoint now, Duration value, Duration window) {
  const Estimate latest{now, value};
  auto& [best, second, third] = estimates_;
  if (empty_ || value <= best.value || now - third.time > window) {
    empty_ = false;
    best = second = third = latest;
    return;
  }
  if (value <= second.value) {
    second = third = latest;
  } else if (value <= third.value) {
    third = latest;
  }
  expire(latest, window);
}

void WindowedMin::expire(const Estimate& latest, Duration window) {
  auto& [best, second, third] = estimates_;
  const Duration age = latest.time - best.time;
  if (age > window) {
    best = second;
    second = third;
    third = latest;
    if (latest.time - best.time > window) {
      best = second;
      second = third;
    }
  } else if (second.time == best.time && age > window / 4) {
    // A quarter has passed without a second choice: take one from what follows.
    second = third = latest;
  } else if (third.time == second.time && age > window / 2) {
    third = latest;
  }
}

}  // namespace mvfstrl
