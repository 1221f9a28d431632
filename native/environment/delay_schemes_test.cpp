// Delay-based controllers over a link in virtual time: what stands in the queue, in packets or milliseconds,
// follows from each algorithm's own parameters and the link's BDP.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "environment/scenario.h"
#include "environment/simulation.h"

namespace mvfstrl {
namespace {

constexpr double kPacketBytes = 1252 + 28;
constexpr double kMbps = 12;
constexpr double kDelayMs = 30;
constexpr double kPacketMs = kPacketBytes * 8 / (kMbps * 1e3);

std::vector<FlowOutcome> run(const std::vector<SchemeConfig>& schemes, double queue_bdp, std::int64_t ms,
                             std::int32_t ack_threshold) {
  ScenarioConfig scenario;
  scenario.uplink = scenario.downlink = ConstantRateScenario{Range::constant(kMbps)};
  scenario.delay_ms = Range::constant(kDelayMs);
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range::constant(queue_bdp);
  std::vector<FlowConfig> flows;
  for (const SchemeConfig& scheme : schemes) {
    FlowConfig flow;
    flow.controller = scheme;
    flows.push_back(flow);
  }
  TransportConfig transport;
  transport.ack_threshold = ack_threshold;
  Simulation simulation(ScenarioDistribution({scenario}, ByteCount(1252)).sample(1), flows, transport,
                        transport.window, 1);
  simulation.run_until(TimePoint::from_ms(ms));
  return simulation.finish();
}

double utilisation(const FlowOutcome& outcome) {
  return Bandwidth::from_bytes_over(outcome.link_bytes, outcome.active).to_mbps() / kMbps;
}

// Packets ahead of one, itself included.
double queued_packets(const FlowOutcome& outcome, double quantile) {
  return outcome.sojourn.percentile(quantile).to_ms() / kPacketMs;
}

constexpr std::int32_t kTcpLike = 2;  // an ACK every two packets

double median_ms(const FlowOutcome& outcome) { return outcome.sojourn.percentile(0.5).to_ms(); }

// NSDI 2018, section 3: the queue of one flow swings between none and 2.5 / delta packets.
TEST(DelaySchemes, CopaKeepsAboutOneOverDeltaPackets) {
  for (const double delta : {0.5, 0.1}) {
    CopaConfig config;
    config.delta = delta;
    const FlowOutcome outcome = run({config}, 4, 30'000, kTcpLike).at(0);
    EXPECT_GT(utilisation(outcome), 0.95);
    EXPECT_NEAR(queued_packets(outcome, 0.5), 1 / delta, 0.5 / delta) << delta;
    EXPECT_LT(queued_packets(outcome, 0.95), 2.5 / delta + kTcpLike) << delta;
    EXPECT_EQ(outcome.queue_drops.packets, 0);
  }
}

// With mvfst's ACKs the timer of (60 + 4) / 4 ms, which fires after 18, is all the queue that Copa sees: a
// packet each delta * 18 ms, while the first RTTs (acknowledged at once) are remembered.
TEST(DelaySchemes, CopaTakesTheAckTimerForAQueue) {
  const FlowOutcome outcome = run({CopaConfig{}}, 4, 9'000, 10).at(0);
  const double expected = kPacketMs / (0.5 * 18);
  EXPECT_NEAR(utilisation(outcome), expected, 0.25 * expected);
}

TEST(DelaySchemes, TwoCopasShare) {
  const auto outcomes = run({CopaConfig{}, CopaConfig{}}, 4, 30'000, kTcpLike);
  EXPECT_NEAR(utilisation(outcomes[0]), utilisation(outcomes[1]), 0.05);
  EXPECT_GT(utilisation(outcomes[0]) + utilisation(outcomes[1]), 0.95);
}

TEST(DelaySchemes, VegasKeepsBetweenAlphaAndBetaPackets) {
  const FlowOutcome outcome = run({VegasConfig{}}, 4, 30'000, kTcpLike).at(0);
  EXPECT_GT(utilisation(outcome), 0.98);
  EXPECT_GE(queued_packets(outcome, 0.05), 2.0);
  EXPECT_LE(queued_packets(outcome, 0.95), 4.0 + 1.0);  // a packet counts itself
  const auto two = run({VegasConfig{}, VegasConfig{}}, 4, 30'000, kTcpLike);
  EXPECT_GE(queued_packets(two[0], 0.5), 2 * 2.0);
  EXPECT_LE(queued_packets(two[0], 0.5), 2 * 4.0 + 1.0);
}

// ACKs that are held back for ten packets or a timer leave Vegas at work: it subtracts what the peer reports.
TEST(DelaySchemes, VegasLooksThroughDelayedAcks) {
  EXPECT_GT(utilisation(run({VegasConfig{}}, 4, 30'000, 10).at(0)), 0.9);
}

// The slowdowns take a tenth of the time at most (draft section 4.4).
TEST(DelaySchemes, LedbatPlusFillsTheQueueToItsTargetAndNoFurther) {
  const LedbatConfig config;
  const FlowOutcome outcome = run({config}, 4, 30'000, kTcpLike).at(0);
  EXPECT_GT(utilisation(outcome), 0.88);
  EXPECT_LT(utilisation(outcome), 0.96) << "no slowdown";
  EXPECT_NEAR(median_ms(outcome), config.target.to_ms(), 3 * kPacketMs);
  EXPECT_LE(outcome.sojourn.percentile(0.95).to_ms(), config.target.to_ms() + 2 * kPacketMs);
}

TEST(DelaySchemes, Rfc6817SettlesAtItsTarget) {
  LedbatConfig config;
  config.flavour = LedbatFlavour::kRfc6817;
  const FlowOutcome outcome = run({config}, 4, 60'000, kTcpLike).at(0);
  EXPECT_GT(utilisation(outcome), 0.95);
  EXPECT_NEAR(median_ms(outcome), config.target.to_ms(), 0.1 * config.target.to_ms());
  EXPECT_LE(outcome.sojourn.percentile(0.95).to_ms(), config.target.to_ms() + 2 * kPacketMs);
}

// A queue of two BDP stands above the target while CUBIC fills it.
TEST(DelaySchemes, LedbatYieldsToCubic) {
  for (const auto flavour : {LedbatFlavour::kLedbatpp, LedbatFlavour::kRfc6817}) {
    LedbatConfig config;
    config.flavour = flavour;
    const auto outcomes = run({CubicConfig{}, config}, 2, 60'000, 10);
    EXPECT_GT(utilisation(outcomes[0]), 0.95);
    EXPECT_LT(utilisation(outcomes[1]), 0.05);
    EXPECT_GT(outcomes[1].delivered.packets, 0);
  }
}

}  // namespace
}  // namespace mvfstrl
