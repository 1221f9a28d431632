// The real clock, which only real-time hosts read.
#pragma once

#include <cstdint>
#include <ctime>

#include "common/units.h"

namespace mvfstrl {

inline TimePoint read_clock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return TimePoint::from_ns(time.tv_sec * 1'000'000'000 + time.tv_nsec);
}

inline TimePoint monotonic_now() { return read_clock(CLOCK_MONOTONIC); }

// Turns the kernel's stamps, which are of the wall clock, into monotonic time.
class StampClock {
 public:
  // To be called before stamps are read: someone may set the wall clock at any time.
  void refresh() {
    constexpr Duration kClose = Duration::from_us(2);
    for (int attempt = 0; attempt < 4; ++attempt) {  // the thread may lose its processor in between
      const TimePoint before = monotonic_now();
      offset_ = before - read_clock(CLOCK_REALTIME);
      now_ = monotonic_now();
      if (now_ - before < kClose) return;
    }
  }
  // Of the latest refresh().
  TimePoint now() const { return now_; }
  TimePoint monotonic(const timespec& stamp) const {
    return TimePoint::from_ns(stamp.tv_sec * 1'000'000'000 + stamp.tv_nsec) + offset_;
  }

 private:
  TimePoint now_;
  Duration offset_;
};

}  // namespace mvfstrl
