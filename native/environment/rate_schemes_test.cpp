// Vivace and Sprout over links under a virtual clock; bounds come from rate, delay and the algorithms' own
// parameters.
#include <gtest/gtest.h>

#include "environment/simulation.h"

namespace mvfstrl {
namespace {

ScenarioConfig constant_link(double mbps, double delay_ms, double queue_bdp, double loss = 0) {
  ScenarioConfig scenario;
  scenario.uplink = scenario.downlink = ConstantRateScenario{Range::constant(mbps)};
  scenario.delay_ms = Range::constant(delay_ms);
  scenario.loss = Range::constant(loss);
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range::constant(queue_bdp);
  return scenario;
}

FlowOutcome run(const ScenarioConfig& scenario, const SchemeConfig& scheme, std::uint64_t seed = 1,
                std::int64_t ms = 30'000) {
  const EpisodePath path = ScenarioDistribution({scenario}, ByteCount(1252)).sample(seed);
  const TransportConfig transport;
  FlowConfig flow;
  flow.controller = scheme;
  Simulation simulation(path, {flow}, transport, transport.window, seed);
  simulation.run_until(TimePoint::from_ms(ms));
  return simulation.finish().at(0);
}

double utilisation(const FlowOutcome& outcome) {
  return static_cast<double>(outcome.link_bytes.value()) / static_cast<double>(outcome.offered_bytes.value());
}

// Around the capacity it tries rates 5 % above and below, and takes back what made the queue grow: more than
// 85 % on average, less than half of the four BDP (160 ms) that would fit in the queue, and next to no loss.
TEST(Vivace, FindsTheRateOfALinkAndKeepsItsQueueShort) {
  for (const double mbps : {12.0, 48.0}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const FlowOutcome outcome = run(constant_link(mbps, 20, 4), VivaceConfig{}, seed);
      EXPECT_GT(utilisation(outcome), 0.85) << mbps << " " << seed;
      EXPECT_LT(outcome.sojourn.percentile(0.95).to_ms(), 80) << mbps << " " << seed;
      EXPECT_LT(static_cast<double>(outcome.queue_drops.packets),
                0.001 * static_cast<double>(outcome.sent.packets));
    }
  }
}

// Doubling from ten packets an RTT, two RTTs a step, takes 6 steps and 1.2 s at 100 ms; the changes that
// follow may not lose what it found.
TEST(Vivace, FillsALongPath) { EXPECT_GT(utilisation(run(constant_link(12, 50, 1), VivaceConfig{})), 0.8); }

TEST(Vivace, ALossInAThousandDoesNotStopIt) {
  EXPECT_GT(utilisation(run(constant_link(12, 20, 4, 0.001), VivaceConfig{})), 0.8);
}

TEST(Vivace, TheSeedIsAllThatTheLotsDependOn) {
  const auto once = run(constant_link(12, 20, 4), VivaceConfig{}, 5, 5'000);
  EXPECT_EQ(once.sent, run(constant_link(12, 20, 4), VivaceConfig{}, 5, 5'000).sent);
  EXPECT_NE(once.sent, run(constant_link(12, 20, 4), VivaceConfig{}, 6, 5'000).sent);
}

// What is in flight takes 100 ms, of which propagation has 40: the rest waits.
TEST(Sprout, KeepsAHundredMillisecondsInFlight) {
  for (const double mbps : {2.0, 12.0, 96.0}) {
    const FlowOutcome outcome = run(constant_link(mbps, 20, 8), SproutConfig{});
    EXPECT_GT(utilisation(outcome), 0.95) << mbps;
    EXPECT_LT(outcome.sojourn.percentile(0.95).to_ms(), 100 - 40 + 20) << mbps;
    EXPECT_EQ(outcome.queue_drops.packets, 0) << mbps;
  }
}

// The rate is held for ticks of 20 ms and moves by a tenth of its level in one: the average, eight ticks
// long, follows. Then what was sent is through within the horizon and a tick, the propagation being part of
// it.
TEST(Sprout, KeepsTheQueueOfACellularLinkWithinItsHorizonAndATick) {
  ScenarioConfig scenario = constant_link(20, 20, 1);
  CellularRateScenario cellular;
  cellular.parameters.level = Bandwidth::from_mbps(9);
  scenario.uplink = cellular;
  scenario.queue.bdp.reset();
  scenario.queue.packets = Range::constant(400);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const FlowOutcome outcome = run(scenario, SproutConfig{}, seed);
    EXPECT_GT(utilisation(outcome), 0.9) << seed;
    EXPECT_LT(outcome.sojourn.percentile(0.95).to_ms(), 100 + 20) << seed;
  }
}

// 100 ms of the link's rate in 200 ms of RTT, at most; the ticks in which a flight begins and ends are part
// empty, and lower the average.
TEST(Sprout, CannotFillAPathThatIsLongerThanItsHorizon) {
  const double share = utilisation(run(constant_link(12, 100, 1), SproutConfig{}));
  EXPECT_GT(share, 0.2);
  EXPECT_LT(share, 0.5);
}

}  // namespace
}  // namespace mvfstrl
