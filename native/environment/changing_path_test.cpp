#include "environment/changing_path.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

#include "environment/scenario.h"
#include "path/direction.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};

ScenarioConfig with_rate(RateScenario rate) {
  ScenarioConfig scenario;
  scenario.uplink = scenario.downlink = rate;
  return scenario;
}

EpisodePath drawn(const ScenarioConfig& scenario, std::uint64_t seed) {
  return ScenarioDistribution({scenario}, kPacket).sample(seed);
}

// What a link of this rate really offers in ten minutes.
double offered_mbps(const RateConfig& rate, std::uint64_t seed) {
  Direction direction({.rate = rate}, Direction::Order::kLinkLossDelay, Rng(seed));
  const Duration span = Duration::from_ms(600'000);
  return Bandwidth::from_bytes_over(direction.offered_bytes(TimePoint::zero() + span), span).to_mbps();
}

TEST(StepsScenario, RoundIsTheBaseTimesEachFactor) {
  const StepsRateScenario steps{
      .mbps = {12, 96, true}, .factors = {1, 2, 0.5}, .every_ms = {1'000, 4'000, false}};
  std::set<double> bases;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto rate = std::get<PeriodicRate>(drawn(with_rate(steps), seed).uplink.rate);
    ASSERT_EQ(rate.parts.size(), 3u);
    const double base = rate.parts[0].rate.to_mbps();
    EXPECT_GE(base, 12);
    EXPECT_LT(base, 96);
    EXPECT_DOUBLE_EQ(rate.parts[1].rate.to_mbps(), 2 * base);
    EXPECT_DOUBLE_EQ(rate.parts[2].rate.to_mbps(), base / 2);
    EXPECT_GE(rate.parts[0].length, Duration::from_ms(1'000));
    EXPECT_LT(rate.offset, rate.parts[0].length * 3);
    bases.insert(base);
  }
  EXPECT_EQ(bases.size(), 50u) << "every episode has a path of its own";
}

TEST(StepsScenario, LinksStartAtTheSamePlaceOrAtTheStart) {
  StepsRateScenario steps;
  const EpisodePath path = drawn(with_rate(steps), 3);
  EXPECT_EQ(std::get<PeriodicRate>(path.uplink.rate).offset,
            std::get<PeriodicRate>(path.downlink.rate).offset);
  EXPECT_GT(std::get<PeriodicRate>(path.uplink.rate).offset, Duration::zero());
  steps.random_start = false;
  EXPECT_EQ(std::get<PeriodicRate>(drawn(with_rate(steps), 3).uplink.rate).offset, Duration::zero());
}

TEST(SawtoothScenario, ClimbsEvenlyFromTheBaseToItsFactor) {
  const SawtoothRateScenario sawtooth{
      .mbps = Range::constant(10), .factor = 4, .step = Duration::from_ms(500)};
  const auto rate = std::get<PeriodicRate>(drawn(with_rate(sawtooth), 1).uplink.rate);
  ASSERT_EQ(rate.parts.size(), 20u);
  EXPECT_DOUBLE_EQ(rate.parts.front().rate.to_mbps(), 10 + 30 * 0.5 / 20);
  EXPECT_DOUBLE_EQ(rate.parts.back().rate.to_mbps(), 40 - 30 * 0.5 / 20);
  EXPECT_EQ(rate.parts[7].length, Duration::from_ms(500));
  EXPECT_NEAR(mean_rate(rate).to_mbps(), 25, 1e-9);
}

TEST(SatelliteScenario, SlotsOfLinksAndDelayBeginTogether) {
  ScenarioConfig scenario = with_rate(SatelliteRateScenario{});
  scenario.delay_variation = {
      .every_ms = Range::constant(15'000), .step_ms = {0, 30, false}, .jitter_ms = {}};
  std::set<std::int64_t> offsets;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const EpisodePath path = drawn(scenario, seed);
    const Duration offset = std::get<SatelliteRate>(path.uplink.rate).offset;
    EXPECT_EQ(std::get<SatelliteRate>(path.downlink.rate).offset, offset);
    EXPECT_EQ(path.uplink.delay_variation.offset, offset);
    EXPECT_EQ(path.downlink.delay_variation.offset, offset);
    EXPECT_EQ(path.uplink.delay_variation.seed, path.downlink.delay_variation.seed) << "in step";
    offsets.insert(offset.ns());
  }
  EXPECT_EQ(offsets.size(), 20u);
}

TEST(ChangingRates, MeanIsWhatTheyOfferOverALongTime) {
  const std::array<RateScenario, 5> rates = {
      StepsRateScenario{.mbps = Range::constant(20), .factors = {1, 4}, .every_ms = Range::constant(700)},
      SawtoothRateScenario{.mbps = Range::constant(20)},
      RandomWalkRateScenario{.mbps = Range::constant(20), .deviation = 0.7},
      SatelliteRateScenario{.mbps = Range::constant(20),
                            .interval = Duration::from_ms(1'000),
                            .low_factor = 0.5,
                            .high_factor = 2,
                            .outage_ms = Range::constant(100)},
      WifiRateScenario{
          .phy_rates = {Bandwidth::from_mbps(20), Bandwidth::from_mbps(60), Bandwidth::from_mbps(200)},
          .scale = Range::constant(2)}};
  for (const RateScenario& scenario : rates) {
    const RateConfig rate = drawn(with_rate(scenario), 1).uplink.rate;
    const double mean = mean_rate(rate).to_mbps();
    EXPECT_NEAR(offered_mbps(rate, 1), mean, 0.06 * mean) << scenario.index();
  }
}

TEST(Disturbances, AreDrawnForDataAndOnlyTheDelayForAcks) {
  ScenarioConfig scenario;
  scenario.reordering = {.probability = {0.01, 0.05, false}, .extra_ms = {2, 9, false}};
  scenario.duplication = {0.1, 0.2, false};
  scenario.delay_variation.jitter_ms = {1, 3, false};
  const EpisodePath path = drawn(scenario, 4);
  EXPECT_GE(path.uplink.reordering.probability, 0.01);
  EXPECT_LT(path.uplink.reordering.probability, 0.05);
  EXPECT_GE(path.uplink.reordering.extra, Duration::from_ms(2));
  EXPECT_GE(path.uplink.duplication, 0.1);
  EXPECT_GE(path.uplink.delay_variation.jitter, Duration::from_ms(1));
  EXPECT_EQ(path.downlink.delay_variation.jitter, path.uplink.delay_variation.jitter);
  EXPECT_EQ(path.downlink.reordering.probability, 0);
  EXPECT_EQ(path.downlink.duplication, 0);
  EXPECT_NE(drawn(scenario, 5).uplink.duplication, path.uplink.duplication);
  ScenarioConfig calmer = scenario;
  calmer.duplication = Range::constant(0);
  EXPECT_EQ(drawn(calmer, 4).uplink.reordering.extra, path.uplink.reordering.extra) << "streams of their own";
}

}  // namespace
}  // namespace mvfstrl
