// Virtual-clock scenarios; every bound is derived from rate, delay and packet sizes.
#include "environment/simulation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mvfstrl {
namespace {

constexpr double kPacketBytes = 1252 + 28;

struct Link {
  double mbps = 12;
  double delay_ms = 30;
  double queue_bdp = 1;
  double loss = 0;

  double bdp_packets() const { return mbps * 1e6 / 8 * 2 * delay_ms * 1e-3 / kPacketBytes; }
  double packet_ms() const { return kPacketBytes * 8 / (mbps * 1e3); }
};

EpisodePath path_of(const Link& link) {
  ScenarioConfig scenario;
  scenario.uplink = scenario.downlink = ConstantRateScenario{Range::constant(link.mbps)};
  scenario.delay_ms = Range::constant(link.delay_ms);
  scenario.loss = Range::constant(link.loss);
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range::constant(link.queue_bdp);
  return ScenarioDistribution({scenario}, ByteCount(1252)).sample(1);
}

FlowConfig flow(const SchemeConfig& scheme) {
  FlowConfig config;
  config.controller = scheme;
  return config;
}

std::vector<FlowOutcome> run(const Link& link, const std::vector<FlowConfig>& flows, std::int64_t ms,
                             const TransportConfig& transport = {}) {
  Simulation simulation(path_of(link), flows, transport, transport.window, 1);
  simulation.run_until(TimePoint::from_ms(ms));
  return simulation.finish();
}

double mbps(const FlowOutcome& outcome) {
  return Bandwidth::from_bytes_over(outcome.link_bytes, outcome.active).to_mbps();
}

void expect_conservation(const FlowOutcome& o) {
  EXPECT_EQ(o.sent.packets,
            o.delivered.packets + o.queue_drops.packets + o.random_losses.packets + o.in_flight.packets);
  EXPECT_EQ(o.sent.bytes,
            o.delivered.bytes + o.queue_drops.bytes + o.random_losses.bytes + o.in_flight.bytes);
}

// W packets a round: a round is the RTT, at least one packet's serialisation on top, and at most the time in
// which ten packets (the ACK threshold) pass, or the ACK timer of RTT / 4 capped at 25 ms, beyond it.
TEST(Simulation, HalfABdpGivesAboutHalfTheRateAndNoStandingQueue) {
  const Link link;
  const auto window = static_cast<std::int64_t>(link.bdp_packets() / 2);
  const auto outcome = run(link, {flow(FixedConfig{window})}, 30'000).at(0);
  const double rtt = 2 * link.delay_ms;
  const double bits = static_cast<double>(window) * kPacketBytes * 8;
  EXPECT_LT(mbps(outcome), bits / (rtt + link.packet_ms()) * 1e-3);
  EXPECT_GT(mbps(outcome), bits / (rtt + link.packet_ms() + 25 / 2.0) * 1e-3);
  EXPECT_EQ(outcome.queue_drops.packets, 0);
  // The first window leaves as one burst (0.2 % of all packets); after it, bursts of at most ten packets
  // queue behind each other and drain: nothing stands.
  EXPECT_LE(outcome.sojourn.percentile(1.0).to_ms(), (static_cast<double>(window) + 1) * link.packet_ms());
  EXPECT_LE(outcome.sojourn.percentile(0.99).to_ms(), 12 * link.packet_ms());
  expect_conservation(outcome);
}

TEST(Simulation, ASenderThatTakesItsTimeSpreadsABurst) {
  const Link link{.mbps = 100, .delay_ms = 10};
  TransportConfig slow;
  slow.send_time = Duration::from_us(200);
  const auto at_once = run(link, {flow(FixedConfig{40})}, 5'000).at(0);
  const auto spread = run(link, {flow(FixedConfig{40})}, 5'000, slow).at(0);
  EXPECT_GE(at_once.sojourn.percentile(1.0).to_ms(), 9 * link.packet_ms());
  EXPECT_LE(spread.sojourn.percentile(1.0).to_ms(), 1.2 * link.packet_ms());
  expect_conservation(spread);
}

TEST(Simulation, TwoBdpFillTheLinkAndKeepAFullQueue) {
  const Link link{.queue_bdp = 2};
  const auto window = static_cast<std::int64_t>(2 * link.bdp_packets());
  const auto outcome = run(link, {flow(FixedConfig{window})}, 30'000).at(0);
  EXPECT_NEAR(mbps(outcome), link.mbps, 0.005 * link.mbps);
  EXPECT_EQ(outcome.queue_drops.packets, 0);
  // What exceeds the pipe waits: one BDP less what ACK batching keeps from the sender (ten packets).
  EXPECT_LE(outcome.sojourn.percentile(0.5).to_ms(), 2 * link.delay_ms + 1);
  EXPECT_GE(outcome.sojourn.percentile(0.5).to_ms(), 2 * link.delay_ms - 10 * link.packet_ms());
  expect_conservation(outcome);
}

TEST(Simulation, ADelayedPacketCountsSerialisationOnly) {
  const Link link;
  const auto outcome = run(link, {flow(FixedConfig{1})}, 5'000).at(0);
  EXPECT_NEAR(outcome.sojourn.percentile(0.5).to_ms(), link.packet_ms(), 0.0164);
  EXPECT_EQ(outcome.propagation, Duration::from_ms(30));
}

TEST(Simulation, CubicFillsABdpBuffer) {
  const Link link;
  const auto outcome = run(link, {flow(CubicConfig{})}, 30'000).at(0);
  EXPECT_GT(mbps(outcome), 0.9 * link.mbps);
  EXPECT_LE(mbps(outcome), link.mbps);
  EXPECT_GT(outcome.queue_drops.packets, 0);
  EXPECT_LT(static_cast<double>(outcome.queue_drops.packets),
            0.02 * static_cast<double>(outcome.sent.packets));
  expect_conservation(outcome);
}

TEST(Simulation, RandomLossIsBehindTheLinkAndCounted) {
  const Link link{.queue_bdp = 4, .loss = 0.02};
  const auto window = static_cast<std::int64_t>(2 * link.bdp_packets());
  const auto outcome = run(link, {flow(FixedConfig{window})}, 30'000).at(0);
  EXPECT_NEAR(mbps(outcome), link.mbps, 0.02 * link.mbps) << "lost packets have used the link";
  const auto sent = static_cast<double>(outcome.sent.packets);
  EXPECT_NEAR(static_cast<double>(outcome.random_losses.packets), 0.02 * sent, 4 * std::sqrt(0.02 * sent));
  expect_conservation(outcome);
}

TEST(Simulation, TwoFlowsShareAndBothConserve) {
  const Link link{.queue_bdp = 4, .loss = 0.001};
  const auto window = static_cast<std::int64_t>(link.bdp_packets());
  const auto outcomes = run(link, {flow(FixedConfig{window}), flow(FixedConfig{window})}, 30'000);
  EXPECT_NEAR(mbps(outcomes[0]) + mbps(outcomes[1]), link.mbps, 0.01 * link.mbps);
  EXPECT_NEAR(mbps(outcomes[0]), link.mbps / 2, 0.1 * link.mbps) << "equal windows, equal shares";
  for (const FlowOutcome& outcome : outcomes) expect_conservation(outcome);
}

TEST(Simulation, StartAndStopBoundAFlow) {
  const Link link{.queue_bdp = 8};
  FlowConfig second = flow(FixedConfig{50});
  second.start = Duration::from_ms(10'000);
  second.stop = Duration::from_ms(20'000);
  const auto outcomes = run(link, {flow(FixedConfig{50}), second}, 30'000);
  EXPECT_EQ(outcomes[1].active, Duration::from_ms(10'000));
  EXPECT_NEAR(mbps(outcomes[1]), link.mbps / 2, 0.15 * link.mbps);
  EXPECT_NEAR(static_cast<double>(outcomes[1].offered_bytes.value()), 12e6 / 8 * 10, 2);
  EXPECT_EQ(outcomes[1].in_flight.packets, 0) << "ten seconds are enough to arrive";
  for (const FlowOutcome& outcome : outcomes) expect_conservation(outcome);
}

TEST(Simulation, AFlowsOwnDelayIsOnBothWays) {
  const Link link;
  FlowConfig far = flow(FixedConfig{10});
  far.delay = Duration::from_ms(17);
  const TransportConfig transport;
  Simulation simulation(path_of(link), {flow(FixedConfig{10}), far}, transport, transport.window, 1);
  simulation.run_until(TimePoint::from_ms(30'000));
  const Duration difference = simulation.sender(1).rtt().min() - simulation.sender(0).rtt().min();
  EXPECT_NEAR(difference.to_ms(), 2 * 17, 2 * link.packet_ms());
  const auto outcomes = simulation.finish();
  EXPECT_EQ(outcomes[1].propagation, Duration::from_ms(30 + 17));
  for (const FlowOutcome& outcome : outcomes) expect_conservation(outcome);
}

TEST(Simulation, AFixedSizeTransferFinishes) {
  FlowConfig transfer = flow(CubicConfig{});
  transfer.app = FixedSizeApp{ByteCount(500'000)};
  const TransportConfig transport;
  Simulation simulation(path_of(Link{}), {transfer}, transport, transport.window, 1);
  simulation.run_until(TimePoint::from_ms(100));
  EXPECT_FALSE(simulation.finished());
  simulation.run_until(TimePoint::from_ms(5'000));
  EXPECT_TRUE(simulation.finished());
  EXPECT_GE(simulation.sender(0).stats().bytes_acked, ByteCount(500'000));
}

TEST(Simulation, TheSameSeedGivesTheSameRun) {
  const Link link{.loss = 0.01};
  const auto a = run(link, {flow(CubicConfig{})}, 20'000).at(0);
  const auto b = run(link, {flow(CubicConfig{})}, 20'000).at(0);
  EXPECT_EQ(a.sent, b.sent);
  EXPECT_EQ(a.delivered, b.delivered);
  EXPECT_EQ(a.sojourn.mean(), b.sojourn.mean());
}

}  // namespace
}  // namespace mvfstrl
