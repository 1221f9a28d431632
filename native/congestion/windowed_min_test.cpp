#include "congestion/windowed_min.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/rng.h"

namespace mvfstrl {
namespace {

constexpr Duration ms(std::int64_t value) { return Duration::from_ms(value); }
constexpr TimePoint at(std::int64_t value) { return TimePoint::from_ms(value); }

TEST(WindowedMin, IsZeroBeforeTheFirstSample) {
  WindowedMin filter;
  EXPECT_EQ(filter.best(), Duration::zero());
  filter.update(at(1), ms(7), ms(100));
  EXPECT_EQ(filter.best(), ms(7));
  filter.reset();
  EXPECT_EQ(filter.best(), Duration::zero());
}

TEST(WindowedMin, ShowsANewMinimumAtOnceAndForgetsItAfterTheWindow) {
  WindowedMin filter;
  filter.update(at(0), ms(50), ms(100));
  filter.update(at(10), ms(40), ms(100));
  EXPECT_EQ(filter.best(), ms(40));
  for (int t = 20; t <= 110; t += 10) {
    filter.update(at(t), ms(60), ms(100));
    EXPECT_EQ(filter.best(), ms(40)) << "at " << t;
  }
  filter.update(at(120), ms(70), ms(100));
  EXPECT_EQ(filter.best(), ms(60));
}

TEST(WindowedMin, ASilenceLongerThanTheWindowForgetsEverything) {
  WindowedMin filter;
  filter.update(at(0), ms(40), ms(100));
  filter.update(at(201), ms(90), ms(100));
  EXPECT_EQ(filter.best(), ms(90));
}

TEST(WindowedMin, TheSecondChoiceComesFromWhatFollowsTheFirstQuarter) {
  WindowedMin filter;
  const std::vector<std::pair<int, int>> samples = {{0, 10}, {30, 50}, {60, 70}, {90, 80}, {101, 90}};
  for (const auto& [time, value] : samples) filter.update(at(time), ms(value), ms(100));
  EXPECT_EQ(filter.best(), ms(50));
  filter.update(at(131), ms(95), ms(100));
  EXPECT_EQ(filter.best(), ms(70));
}

TEST(WindowedMin, StaysBetweenTheExactMinimaOfTheWindowAndOfItsLatestQuarter) {
  Rng rng(3);
  WindowedMin filter;
  std::vector<std::pair<std::int64_t, Duration>> samples;
  std::int64_t now = 0;
  for (int i = 0; i < 5000; ++i) {
    now += static_cast<std::int64_t>(1 + rng.below(9));
    samples.emplace_back(now, ms(static_cast<std::int64_t>(20 + rng.below(200))));
    filter.update(at(now), samples.back().second, ms(100));
    const auto exact = [&](std::int64_t span) {
      Duration best = Duration::infinite();
      for (const auto& [time, value] : samples) {
        if (now - time <= span) best = std::min(best, value);
      }
      return best;
    };
    ASSERT_GE(filter.best(), exact(100)) << "sample " << i;
    ASSERT_LE(filter.best(), exact(25)) << "sample " << i;
    if (samples.size() > 200) samples.erase(samples.begin());
  }
}

}  // namespace
}  // namespace mvfstrl
