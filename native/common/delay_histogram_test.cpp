#include "common/delay_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/rng.h"

namespace mvfstrl {
namespace {

TEST(DelayHistogram, EmptyIsZero) {
  const DelayHistogram histogram;
  EXPECT_EQ(histogram.mean(), Duration::zero());
  EXPECT_EQ(histogram.percentile(0.95), Duration::zero());
}

// Ranks as in a sorted vector, within the stated resolution, over seven orders of magnitude.
TEST(DelayHistogram, PercentilesWithinStatedResolutionOfASortedVector) {
  Rng rng(7);
  DelayHistogram histogram;
  std::vector<double> exact;
  double sum = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Duration delay = Duration::from_ms_f(rng.log_uniform(1e-3, 1e4));
    histogram.add(delay);
    exact.push_back(delay.to_ms());
    sum += delay.to_ms();
  }
  std::sort(exact.begin(), exact.end());
  for (const double p : {0.0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0}) {
    const double rank = std::max(1.0, std::ceil(p * static_cast<double>(exact.size())));
    const double expected = exact[static_cast<std::size_t>(rank) - 1];
    EXPECT_NEAR(histogram.percentile(p).to_ms(), expected, std::max(0.0082, 0.008 * expected)) << "p=" << p;
  }
  EXPECT_NEAR(histogram.mean().to_ms(), sum / 20'000, 1e-5);
}

TEST(DelayHistogram, NegativeCountsAsZeroAndHugeStaysInside) {
  DelayHistogram histogram;
  histogram.add(Duration::from_ms(-5));
  EXPECT_LT(histogram.percentile(1.0).to_ms(), 0.01);
  histogram.add(Duration::infinite());
  EXPECT_GT(histogram.percentile(1.0).to_seconds(), 1e9);
}

}  // namespace
}  // namespace mvfstrl
