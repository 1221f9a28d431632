#include "path/opportunities.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace mvfstrl {
namespace {

std::vector<std::int64_t> first_ms(const TraceRate& rate, int count) {
  Opportunities opportunities(rate, Rng());
  std::vector<std::int64_t> result;
  for (int i = 0; i < count; ++i, opportunities.advance())
    result.push_back(opportunities.next().ns() / 1'000'000);
  return result;
}

const auto kTrace = Trace::from_timestamps({0, 2, 2, 5, 9, 10});
using Times = std::vector<std::int64_t>;

TEST(TracePlayer, WrapsByTheLastTimestamp) {
  // Millisecond 10 ends one round and is millisecond 0 of the next: both fire.
  EXPECT_EQ(first_ms({.trace = kTrace}, 13), (Times{0, 2, 2, 5, 9, 10, 10, 12, 12, 15, 19, 20, 20}));
}

TEST(TracePlayer, OffsetStartsInsideTheRound) {
  const TraceRate rate{.trace = kTrace, .offset = Duration::from_ms(3)};
  EXPECT_EQ(first_ms(rate, 6), (Times{2, 6, 7, 7, 9, 9}));
  const TraceRate whole_rounds{.trace = kTrace, .offset = Duration::from_ms(23)};
  EXPECT_EQ(first_ms(whole_rounds, 6), first_ms(rate, 6)) << "modulo the period";
  const TraceRate fraction{.trace = kTrace, .offset = Duration::from_us(3900)};
  EXPECT_EQ(first_ms(fraction, 6), first_ms(rate, 6)) << "whole milliseconds";
}

TEST(TracePlayer, PartIsRebasedAndWrapsWithinItself) {
  // Milliseconds [2, 9), re-based to 0..7.
  const TraceRate part{.trace = kTrace, .from_fraction = 0.2, .to_fraction = 0.9};
  EXPECT_EQ(first_ms(part, 6), (Times{0, 0, 3, 7, 7, 10}));
  const TraceRate second_half{.trace = kTrace, .from_fraction = 0.5, .to_fraction = 1};
  EXPECT_EQ(first_ms(second_half, 5), (Times{0, 4, 5, 5, 9}));
  const TraceRate past_its_last{
      .trace = kTrace, .from_fraction = 0.2, .to_fraction = 0.9, .offset = Duration::from_ms(4)};
  EXPECT_EQ(first_ms(past_its_last, 3), (Times{3, 3, 6}));
}

TEST(TracePlayer, RefusesAnEmptyPart) {
  EXPECT_THROW(Opportunities(TraceRate{.trace = kTrace, .from_fraction = 0.6, .to_fraction = 0.8}, Rng()),
               std::invalid_argument);
  EXPECT_THROW(Opportunities(TraceRate{.trace = kTrace, .from_fraction = 0.8, .to_fraction = 0.6}, Rng()),
               std::invalid_argument);
  EXPECT_THROW(Opportunities(TraceRate{.trace = nullptr}, Rng()), std::invalid_argument);
}

TEST(Opportunities, SkipPastCountsWhatWentBy) {
  Opportunities opportunities(TraceRate{.trace = kTrace}, Rng());
  opportunities.skip_past(TimePoint::from_ms(10));
  EXPECT_EQ(opportunities.passed(), 7);
  EXPECT_EQ(opportunities.next(), TimePoint::from_ms(12));
  opportunities.skip_past(TimePoint::from_ms(11));
  EXPECT_EQ(opportunities.passed(), 7);
}

TEST(PoissonProcess, GapsAreExponential) {
  const Bandwidth rate = Bandwidth::from_mbps(12);  // 1000 opportunities a second
  Opportunities opportunities(PoissonRate{rate}, Rng(7));
  constexpr int kGaps = 100'000;
  double sum = 0;
  double squares = 0;
  TimePoint previous;
  for (int i = 0; i < kGaps; ++i, opportunities.advance()) {
    const double gap = (opportunities.next() - previous).to_ms();
    previous = opportunities.next();
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / kGaps;
  // Five standard errors: 1/sqrt(n) for the mean, about sqrt(8/n)/2 for the deviation.
  EXPECT_NEAR(mean, 1.0, 5 / std::sqrt(kGaps));
  EXPECT_NEAR(std::sqrt(squares / kGaps - mean * mean), 1.0, 7.1 / std::sqrt(kGaps));
}

}  // namespace
}  // namespace mvfstrl
