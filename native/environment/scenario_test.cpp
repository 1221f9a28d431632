#include "environment/scenario.h"

#include <gtest/gtest.h>

#include <array>

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};

ScenarioConfig ranged() {
  ScenarioConfig scenario;
  scenario.uplink = ConstantRateScenario{{6, 24, true}};
  scenario.delay_ms = {10, 50, false};
  scenario.loss = {0.01, 0.02, false};
  scenario.loss_probability = 0.25;
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range{0.5, 2, false};
  return scenario;
}

TEST(ScenarioDistribution, DrawsStayInTheirRanges) {
  const ScenarioDistribution distribution({ranged()}, kPacket);
  int lossy = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const EpisodePath path = distribution.sample(seed);
    const double mbps = std::get<ConstantRate>(path.uplink.rate).rate.to_mbps();
    const double delay = path.uplink.delay.to_ms();
    EXPECT_GE(mbps, 6);
    EXPECT_LT(mbps, 24);
    EXPECT_GE(delay, 10);
    EXPECT_LT(delay, 50);
    EXPECT_EQ(path.uplink.delay, path.downlink.delay);
    EXPECT_EQ(path.downlink.loss, 0);
    const double bdp = mbps * 1e6 / 8 * 2 * delay * 1e-3;
    const auto queue = static_cast<double>(*path.uplink.queue.bytes);
    EXPECT_GE(queue, 0.5 * bdp - 2);
    EXPECT_LE(queue, 2 * bdp + 2);
    lossy += path.uplink.loss > 0 ? 1 : 0;
  }
  EXPECT_NEAR(lossy, 100, 35);  // binomial, 4 standard deviations
}

TEST(ScenarioDistribution, SameSeedSamePathOtherSeedOther) {
  const ScenarioDistribution distribution({ranged()}, kPacket);
  const auto mbps = [&](std::uint64_t seed) {
    return std::get<ConstantRate>(distribution.sample(seed).uplink.rate).rate.bps();
  };
  EXPECT_EQ(mbps(5), mbps(5));
  EXPECT_NE(mbps(5), mbps(6));
}

TEST(ScenarioDistribution, AKnobLeavesOtherDrawsAlone) {
  ScenarioConfig other = ranged();
  other.delay_ms = Range::constant(20);
  const auto a = ScenarioDistribution({ranged()}, kPacket).sample(3);
  const auto b = ScenarioDistribution({other}, kPacket).sample(3);
  EXPECT_EQ(std::get<ConstantRate>(a.uplink.rate).rate, std::get<ConstantRate>(b.uplink.rate).rate);
  EXPECT_EQ(a.uplink.loss, b.uplink.loss);
}

TEST(ScenarioDistribution, WeightsDecideAndNamingOneMatchesDrawingIt) {
  std::vector<ScenarioConfig> list(3, ranged());
  list[0].weight = 3;
  list[1].weight = 0;
  list[2].weight = 1;
  const ScenarioDistribution distribution(list, kPacket);
  std::array<int, 3> drawn{};
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const EpisodePath path = distribution.sample(seed);
    ++drawn[static_cast<std::size_t>(path.scenario)];
    EXPECT_EQ(distribution.sample(seed, path.scenario).uplink.delay, path.uplink.delay);
  }
  EXPECT_EQ(drawn[1], 0);
  EXPECT_NEAR(drawn[0], 750, 55);  // 4 standard deviations
}

TEST(ScenarioDistribution, TinyBdpQueueHoldsOnePacket) {
  ScenarioConfig scenario = ranged();
  scenario.uplink = ConstantRateScenario{Range::constant(0.01)};
  const auto path = ScenarioDistribution({scenario}, kPacket).sample(0);
  EXPECT_EQ(path.uplink.queue.bytes, 1252 + 28);
}

const Trace& trace_of(const DirectionConfig& direction) { return *std::get<TraceRate>(direction.rate).trace; }

ScenarioConfig poisson_traces() {
  ScenarioConfig scenario;
  scenario.uplink = PoissonTraceScenario{
      .mbps = Range::constant(2.64), .head = Duration::from_ms(5'000), .start_ms = {400, 700}, .seed = {}};
  scenario.downlink = scenario.uplink;
  return scenario;
}

TEST(ScenarioDistribution, EachEpisodeDrawsAPoissonTraceThatItsLinksShare) {
  const ScenarioDistribution distribution({poisson_traces()}, kPacket);
  const auto a = distribution.sample(1);
  const auto b = distribution.sample(2);
  EXPECT_EQ(trace_of(a.uplink).timestamps_ms(), trace_of(a.downlink).timestamps_ms());
  EXPECT_NE(trace_of(a.uplink).timestamps_ms(), trace_of(b.uplink).timestamps_ms());
  const Duration start = std::get<TraceRate>(a.uplink.rate).offset;
  EXPECT_EQ(start, std::get<TraceRate>(a.downlink.rate).offset);
  EXPECT_GE(start, Duration::from_ms(400));
  EXPECT_LT(start, Duration::from_ms(700));
  EXPECT_NE(start, std::get<TraceRate>(b.uplink.rate).offset);
}

TEST(ScenarioDistribution, ASeedMakesAPoissonTraceTheSameInEveryEpisode) {
  ScenarioConfig scenario = poisson_traces();
  std::get<PoissonTraceScenario>(scenario.uplink).seed = 7;
  const ScenarioDistribution distribution({scenario}, kPacket);
  EXPECT_EQ(trace_of(distribution.sample(1).uplink).timestamps_ms(),
            trace_of(distribution.sample(2).uplink).timestamps_ms());
}

TEST(ScenarioDistribution, AConstantTraceIsMadeOnceUnlessItsRateIsDrawn) {
  ScenarioConfig scenario;
  scenario.uplink = ConstantTraceScenario{.mbps = Range::constant(100.42), .start_ms = {}};
  scenario.downlink = ConstantTraceScenario{.mbps = {10, 20, false}, .start_ms = {}};
  const ScenarioDistribution distribution({scenario}, kPacket);
  const auto a = distribution.sample(1);
  const auto b = distribution.sample(2);
  EXPECT_EQ(&trace_of(a.uplink), &trace_of(b.uplink));
  EXPECT_EQ(trace_of(a.uplink).timestamps_ms().size(), 502'100U);
  EXPECT_NE(trace_of(a.downlink).timestamps_ms().size(), trace_of(b.downlink).timestamps_ms().size());
}

TEST(ScenarioDistribution, PacketsOverEveryKindOfTraceCarryTheTunnelHeader) {
  for (const RateScenario& link :
       {RateScenario{ConstantTraceScenario{}}, RateScenario{PeriodicTraceScenario{}},
        RateScenario{PoissonTraceScenario{}}}) {
    ScenarioConfig scenario;
    scenario.uplink = link;
    EXPECT_EQ(ScenarioDistribution({scenario}, kPacket).sample(0).overhead_bytes, 32);
  }
}

TEST(ScenarioDistribution, MissingTraceNamesScenarioAndFile) {
  ScenarioConfig scenario;
  scenario.name = "lost";
  scenario.downlink = TraceRateScenario{.file = "/nonexistent/x.trace"};
  try {
    const ScenarioDistribution distribution({ScenarioConfig{}, scenario}, kPacket);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("scenarios[1] (lost)"), std::string::npos) << text;
    EXPECT_NE(text.find("/nonexistent/x.trace"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace mvfstrl
