#include "path/cellular.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace mvfstrl {
namespace {

CellularRate model() {
  return {.parameters = {.level = Bandwidth::from_mbps(6),
                         .max = Bandwidth::from_mbps(18),
                         .volatility = Bandwidth::from_mbps(1),
                         .reversion = Duration::from_ms(2'000),
                         .outage = Duration::from_ms(400),
                         .burst = 1}};
}

struct Counts {
  double mean = 0;
  double variance = 0;
  double longest_gap_ms = 0;
  double largest = 0;
};

// Opportunities in windows of `window_ms` over `seconds`.
Counts count(const CellularRate& rate, std::uint64_t seed, int window_ms, int seconds) {
  CellularProcess process(rate, Rng(seed));
  std::vector<double> windows(static_cast<std::size_t>(seconds * 1000 / window_ms));
  Counts result;
  TimePoint previous;
  for (; process.next() < TimePoint::from_ms(seconds * 1000); process.advance()) {
    ++windows[static_cast<std::size_t>(process.next().to_ms()) / static_cast<std::size_t>(window_ms)];
    result.longest_gap_ms = std::max(result.longest_gap_ms, (process.next() - previous).to_ms());
    previous = process.next();
  }
  for (const double w : windows) result.mean += w / static_cast<double>(windows.size());
  for (const double w : windows) {
    result.variance += (w - result.mean) * (w - result.mean) / static_cast<double>(windows.size());
    result.largest = std::max(result.largest, w);
  }
  return result;
}

TEST(CellularProcess, MeanIsTheLevelWhereTheBoundsAreFar) {
  // Deviation of the rate 1 Mbps * sqrt(2 s / 2) = 1 Mbps = 83.3 opportunities/s around 500.
  const Counts counts = count(model(), 11, 100, 2'000);
  EXPECT_NEAR(counts.mean, 50, 1);
  // Poisson variance 50, and the rate's: (8.33 a window)^2, smoothed by 3 % over 100 ms.
  EXPECT_NEAR(counts.variance, 50 + 69.4 * 0.97, 10);
}

TEST(CellularProcess, WithoutVolatilityItIsPoisson) {
  CellularRate rate = model();
  rate.parameters.volatility = Bandwidth::from_mbps(0);
  const Counts counts = count(rate, 11, 100, 2'000);
  EXPECT_NEAR(counts.mean, 50, 0.25);
  EXPECT_NEAR(counts.variance / counts.mean, 1, 0.06);
}

TEST(CellularProcess, BurstsKeepTheMeanAndRaiseTheVariance) {
  CellularRate rate = model();
  rate.parameters.volatility = Bandwidth::from_mbps(0);
  rate.parameters.burst = 4;
  const Counts counts = count(rate, 11, 100, 2'000);
  EXPECT_NEAR(counts.mean, 50, 0.7);
  // Compound Poisson with geometric sizes of mean b: variance/mean = 2b - 1.
  EXPECT_NEAR(counts.variance / counts.mean, 7, 0.6);
}

TEST(CellularProcess, RateStaysBelowItsMaximum) {
  CellularRate rate = model();
  rate.parameters.volatility = Bandwidth::from_mbps(20);
  const Counts counts = count(rate, 11, 100, 500);
  EXPECT_LT(counts.largest, 150 + 6 * std::sqrt(150)) << "18 Mbps is 150 opportunities in 100 ms";
  EXPECT_GT(counts.largest, 150);
}

TEST(CellularProcess, OutagesLastAsLongAsTheyShould) {
  CellularRate rate = model();
  rate.parameters.volatility = Bandwidth::from_mbps(20);
  rate.parameters.outage = Duration::zero();
  const double without = count(rate, 11, 1'000, 500).longest_gap_ms;
  rate.parameters.outage = Duration::from_ms(1'000);
  const double with = count(rate, 11, 1'000, 500).longest_gap_ms;
  EXPECT_LT(without, 500);
  EXPECT_GT(with, 2'000);
  EXPECT_LT(with, 20'000);
}

TEST(CellularProcess, ScaleMultipliesEveryRate) {
  CellularRate rate = model();
  const double base = count(rate, 11, 100, 1'000).mean;
  rate.scale = 2.5;
  EXPECT_NEAR(count(rate, 11, 100, 1'000).mean, 2.5 * base, 0.01 * base);
}

TEST(CellularProcess, EachSeedIsAnotherEpisodeFromATypicalStart) {
  // Over many seeds the first second is distributed like any other: mean 500, deviation of rate and Poisson.
  double sum = 0;
  double squares = 0;
  constexpr int kSeeds = 400;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const double first = count(model(), seed, 1'000, 1).mean;
    sum += first;
    squares += first * first;
  }
  const double mean = sum / kSeeds;
  const double deviation = std::sqrt(squares / kSeeds - mean * mean);
  EXPECT_NEAR(mean, 500, 25);
  EXPECT_NEAR(deviation, 79, 14) << "without a warm-up all would start at the level: 46";
}

}  // namespace
}  // namespace mvfstrl
