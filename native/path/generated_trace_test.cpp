#include "path/generated_trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "path/direction.h"

namespace mvfstrl {
namespace {

using Times = std::vector<std::uint32_t>;

TEST(ConstantTrace, OpportunityIComesInMillisecondFloorOfITimes12OverMbps) {
  const auto trace = constant_trace(Bandwidth::from_mbps(10));
  const Times& times = trace->timestamps_ms();
  EXPECT_EQ(times.size(), 50'000U);
  EXPECT_EQ(Times(times.begin(), times.begin() + 6), (Times{0, 1, 2, 3, 4, 6}));
  EXPECT_EQ(trace->period_ms(), 59'998U);
}

TEST(ConstantTrace, RefusesARateWithoutOpportunities) {
  EXPECT_THROW(constant_trace(Bandwidth::from_mbps(0)), std::invalid_argument);
  EXPECT_THROW(constant_trace(Bandwidth::from_mbps(1e-5)), std::invalid_argument);
}

TEST(PeriodicTrace, OpportunitiesComeTogether) {
  EXPECT_EQ(periodic_trace(3, Duration::from_ms(200))->timestamps_ms(), (Times{200, 200, 200}));
  EXPECT_THROW(periodic_trace(0, Duration::from_ms(1)), std::invalid_argument);
  EXPECT_THROW(periodic_trace(1, Duration::from_ms_f(0.9)), std::invalid_argument);
}

PoissonTrace with_head() { return {.rate = Bandwidth::from_mbps(2.64), .head = Duration::from_ms(5'000)}; }

TEST(PoissonTrace, HeadIsExactAndTheRestStartsBehindIt) {
  const auto trace = poisson_trace(with_head(), Rng(3));
  const Times& times = trace->timestamps_ms();
  for (std::uint32_t i = 0; i < 50; ++i) EXPECT_EQ(times[i], 100 * (i + 1));
  EXPECT_GE(times[50], 5'000U);
  EXPECT_LT(times[50], 5'100U);
}

TEST(PoissonTrace, EndsWithTheFirstOpportunityOfTheSecondMinute) {
  const auto trace = poisson_trace(with_head(), Rng(3));
  const Times& times = trace->timestamps_ms();
  EXPECT_GE(times.back(), 60'000U);
  EXPECT_LT(times[times.size() - 2], 60'000U);
}

// Pantheon's own three files: coefficient of variation of the gaps 0.988 to 1.010, of the rate within 1 %.
TEST(PoissonTrace, GapsBehindTheHeadAreExponential) {
  std::vector<double> gaps;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto trace = poisson_trace(with_head(), Rng(seed));
    const Times& times = trace->timestamps_ms();
    for (std::size_t i = 50; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  }
  const double count = static_cast<double>(gaps.size());
  const double mean = std::accumulate(gaps.begin(), gaps.end(), 0.0) / count;
  double squares = 0;
  for (const double gap : gaps) squares += (gap - mean) * (gap - mean);
  EXPECT_NEAR(mean, 12 / 2.64, 4 * 12 / 2.64 / std::sqrt(count));
  EXPECT_NEAR(std::sqrt(squares / count) / mean, 1, 0.02);
  const auto zeros = static_cast<double>(std::count(gaps.begin(), gaps.end(), 0.0));
  EXPECT_NEAR(zeros / count, 1 - std::exp(-0.5 / mean), 0.005);  // rounded to the nearest millisecond
}

TEST(PoissonTrace, SameSeedSameTrace) {
  EXPECT_EQ(poisson_trace(with_head(), Rng(1))->timestamps_ms(),
            poisson_trace(with_head(), Rng(1))->timestamps_ms());
  EXPECT_NE(poisson_trace(with_head(), Rng(1))->timestamps_ms(),
            poisson_trace(with_head(), Rng(2))->timestamps_ms());
}

TEST(PoissonTrace, AHeadOfTheWholeLengthLeavesNothingToChance) {
  const PoissonTrace all_head{.rate = Bandwidth::from_mbps(5), .head = Duration::from_ms(90'000)};
  EXPECT_EQ(poisson_trace(all_head, Rng(1))->timestamps_ms().size(), 600U);
}

// Pantheon's policers: a queue of one packet in front of opportunities that come several a millisecond. The
// opportunities of a millisecond are over when its packets arrive, so that one packet of them is admitted.
TEST(PeriodicTrace, APolicerOf60And108MbpsPassesOnePacketAMillisecond) {
  for (const int opportunities : {1, 5, 9}) {
    const DirectionConfig policer{
        .rate = TraceRate{.trace = periodic_trace(opportunities, Duration::from_ms(1))},
        .queue = {.kind = QueueKind::kDropTail, .packets = 1}};
    Direction direction(policer, Direction::Order::kLinkLossDelay, Rng(0));
    Packet packet, out;
    packet.size_bytes = 1504;
    for (int us = 0; us < 1'000'000; us += 50) {  // 240 Mbps for a second
      const TimePoint now = TimePoint::zero() + Duration::from_us(us);
      while (direction.advance(now, out)) {
      }
      direction.enter(now, packet);
    }
    while (direction.advance(TimePoint::from_ms(1'010), out)) {
    }
    EXPECT_EQ(direction.counters().delivered.packets, 1'000) << opportunities;
  }
}

}  // namespace
}  // namespace mvfstrl
