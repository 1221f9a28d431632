// What an episode draws a number from.
#pragma once

#include "common/rng.h"

namespace mvfstrl {

// low == high is a constant. Uniform, or uniform in the logarithm.
struct Range {
  double low = 0;
  double high = 0;
  bool log = false;

  static constexpr Range constant(double value) { return {value, value, false}; }
  double sample(Rng& rng) const {
    if (low == high) return low;
    return log ? rng.log_uniform(low, high) : rng.uniform(low, high);
  }
};

}  // namespace mvfstrl
