#include "path/detour.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

namespace mvfstrl {
namespace {

constexpr Duration kMs = Duration::from_ms(1);

struct Out {
  std::uint64_t id;
  TimePoint at;
  bool copy;
};

// A packet every millisecond, numbered; what comes out and when.
std::vector<Out> through(const DirectionConfig& config, int packets, std::uint64_t seed = 1,
                         Tally* duplicated = nullptr) {
  Detour detour(config, Rng(seed));
  Tally copies;
  std::vector<Out> out;
  const auto drain = [&](TimePoint now) {
    while (detour.next() <= now) {
      const TimePoint due = detour.next();
      const Packet packet = detour.take();
      out.push_back({packet.id, due, packet.copy});
    }
  };
  for (int i = 0; i < packets; ++i) {
    const TimePoint due = TimePoint::from_ms(i);
    drain(due - Duration::from_ns(1));
    Packet packet;
    packet.id = static_cast<std::uint64_t>(i);
    packet.size_bytes = 100;
    detour.admit(due, packet, copies);
  }
  drain(TimePoint::from_ms(1'000'000));
  if (duplicated != nullptr) *duplicated = copies;
  return out;
}

TEST(Detour, IsThereOnlyWhereSomethingIsAsked) {
  EXPECT_FALSE(has_detour({}));
  EXPECT_TRUE(has_detour({.delay_variation = {.jitter = kMs}}));
  EXPECT_TRUE(has_detour({.delay_variation = {.step_high = kMs}}));
  EXPECT_TRUE(has_detour({.reordering = {.probability = 0.1, .extra = kMs}}));
  EXPECT_TRUE(has_detour({.duplication = 0.1}));
}

TEST(DelayVariation, StepsHoldForTheirTimeAndLieWithinTheirRange) {
  const DirectionConfig config{.delay_variation = {.every = Duration::from_ms(50),
                                                   .step_low = Duration::from_ms(3),
                                                   .step_high = Duration::from_ms(9),
                                                   .offset = Duration::from_ms(20)}};
  const std::vector<Out> out = through(config, 2000);
  std::vector<double> steps;
  for (int i = 31; i < 2000; i += 50) {  // the second packet of each step: no echo of the one before
    // Where the delay falls, packets are held back to their predecessor's time; late in a step none is.
    const auto last = static_cast<std::size_t>(i + 47);
    if (last >= out.size()) break;
    steps.push_back((out[last].at - TimePoint::from_ms(i + 47)).to_ms());
    EXPECT_EQ(out[last - 20].at - TimePoint::from_ms(i + 27), out[last].at - TimePoint::from_ms(i + 47));
  }
  double sum = 0;
  for (const double step : steps) {
    EXPECT_GE(step, 3);
    EXPECT_LE(step, 9);
    sum += step;
  }
  EXPECT_NEAR(sum / static_cast<double>(steps.size()), 6, 5 * 6 / std::sqrt(12.0 * 39));
}

TEST(DelayVariation, NeverReorders) {
  const DirectionConfig config{.delay_variation = {.every = Duration::from_ms(7),
                                                   .step_high = Duration::from_ms(40),
                                                   .jitter = Duration::from_ms(10)}};
  const std::vector<Out> out = through(config, 5000);
  ASSERT_EQ(out.size(), 5000u);
  double extra = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_EQ(out[i].id, i);
    ASSERT_GE(out[i].at, TimePoint::from_ms(static_cast<std::int64_t>(i)));
    if (i > 0) {
      ASSERT_GE(out[i].at, out[i - 1].at);
    }
    extra += (out[i].at - TimePoint::from_ms(static_cast<std::int64_t>(i))).to_ms();
  }
  EXPECT_GT(extra / 5000, 25) << "the mean step and jitter, and what order costs";
}

TEST(DelayVariation, JitterIsExponentialWherePacketsAreFarApart) {
  Detour detour({.delay_variation = {.jitter = Duration::from_ms(2)}}, Rng(6));
  Tally copies;
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const TimePoint due = TimePoint::from_ms(1000 * i);
    detour.admit(due, {}, copies);
    sum += (detour.next() - due).to_ms();
    detour.take();
  }
  EXPECT_NEAR(sum / 10'000, 2, 5 * 2.0 / 100);
}

TEST(DelayVariation, DirectionsThatShareASeedAreInStep) {
  DirectionConfig config{
      .delay_variation = {.every = Duration::from_ms(50), .step_high = Duration::from_ms(9), .seed = 5}};
  const auto times = [&](std::uint64_t detour_seed) {
    std::vector<std::int64_t> result;
    for (const Out& out : through(config, 500, detour_seed)) result.push_back(out.at.ns());
    return result;
  };
  EXPECT_EQ(times(1), times(2));
  const auto before = times(1);
  config.delay_variation.seed = 6;
  EXPECT_NE(times(1), before);
}

TEST(Reordering, PickedPacketsAreOvertakenByWhatFollowsWithinTheExtra) {
  const DirectionConfig config{.reordering = {.probability = 0.05, .extra = Duration::from_us(4'500)}};
  const std::vector<Out> out = through(config, 20'000);
  ASSERT_EQ(out.size(), 20'000u);
  int late = 0;
  std::uint64_t largest = 0;
  for (const Out& packet : out) {
    const Duration extra = packet.at - TimePoint::from_ms(static_cast<std::int64_t>(packet.id));
    if (extra.is_zero()) {
      EXPECT_GE(packet.id, largest) << "those not picked keep their order";
    } else {
      EXPECT_EQ(extra, Duration::from_us(4'500));
      ++late;
    }
    largest = std::max(largest, packet.id);
  }
  EXPECT_NEAR(late, 1000, 5 * std::sqrt(20'000 * 0.05 * 0.95));
}

TEST(Reordering, PickedPacketsKeepTheirOwnOrderUnderJitter) {
  const DirectionConfig config{.delay_variation = {.jitter = Duration::from_ms(30)},
                               .reordering = {.probability = 0.9, .extra = Duration::from_ms(5)}};
  const std::vector<Out> out = through(config, 3000);
  ASSERT_EQ(out.size(), 3000u);
  for (std::size_t i = 1; i < out.size(); ++i) ASSERT_GE(out[i].at, out[i - 1].at);
}

TEST(Duplication, CopiesFollowTheirOriginalsAndAreCounted) {
  Tally duplicated;
  const std::vector<Out> out = through({.duplication = 0.2}, 10'000, 1, &duplicated);
  EXPECT_EQ(out.size(), 10'000u + static_cast<std::size_t>(duplicated.packets));
  EXPECT_NEAR(static_cast<double>(duplicated.packets), 2000, 5 * 40);
  EXPECT_EQ(duplicated.bytes, 100 * duplicated.packets);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].copy) {
      EXPECT_EQ(out[i].id, out[i - 1].id);
      EXPECT_FALSE(out[i - 1].copy);
    }
  }
}

}  // namespace
}  // namespace mvfstrl
