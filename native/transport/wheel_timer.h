// When a timer of folly's hashed wheel (io/async/HHWheelTimer.cpp), which mvfst's ACK and loss timers are,
// really fires. mvfst rounds a timeout up to milliseconds; the wheel counts whole ticks of it and fires one
// tick later. In the logs of real runs an ACK timer of 16.3 ms fires 18 ms after the packet that armed it.
#pragma once

#include "common/units.h"

namespace mvfstrl {

// From arming to firing. A tick of zero stands for an exact timer.
constexpr Duration wheel_timeout(Duration timeout, Duration tick) {
  const Duration positive = timeout > Duration::zero() ? timeout : Duration::zero();
  if (tick.is_zero()) return positive;
  constexpr std::int64_t kMillisecond = 1'000'000;
  const std::int64_t rounded = (positive.ns() + kMillisecond - 1) / kMillisecond * kMillisecond;
  return tick * (rounded / tick.ns() + 1);
}

}  // namespace mvfstrl
