// The minimum of a series over a sliding span of time, in constant space and time a sample.
#pragma once

#include <array>

#include "common/units.h"

namespace mvfstrl {

// Keeps the best, second and third best of ever later stretches of the window, after Kathleen Nichols' filter
// (also in Linux, lib/win_minmax.c). A new minimum shows at once and is forgotten when it leaves the window;
// the one that follows may lie above the exact minimum, for which every sample would have to be kept.
class WindowedMin {
 public:
  void reset() { empty_ = true; }
  void update(TimePoint now, Duration value, Duration window);
  // Zero before the first sample.
  Duration best() const { return empty_ ? Duration::zero() : estimates_[0].value; }

 private:
  struct Estimate {
    TimePoint time;
    Duration value;
  };
  void expire(const Estimate& latest, Duration window);

  bool empty_ = true;
  std::array<Estimate, 3> estimates_{};
};

}  // namespace mvfstrl
