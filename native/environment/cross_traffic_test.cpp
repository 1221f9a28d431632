#include "environment/cross_traffic.h"

#include <gtest/gtest.h>

#include <cmath>

#include "environment/simulation.h"

namespace mvfstrl {
namespace {

constexpr double kPacketBytes = 1252 + 28;

EpisodePath path_of(double mbps, std::int64_t queue_packets, double loss = 0) {
  ScenarioConfig scenario;
  scenario.uplink = scenario.downlink = ConstantRateScenario{Range::constant(mbps)};
  scenario.delay_ms = Range::constant(30);
  scenario.loss = Range::constant(loss);
  scenario.queue.packets = Range::constant(static_cast<double>(queue_packets));
  return ScenarioDistribution({scenario}, ByteCount(1252)).sample(1);
}

struct Outcome {
  std::vector<FlowOutcome> flows;
  std::vector<TrafficOutcome> traffic;
  PathCounters path;
};

Outcome run(const EpisodePath& path, const std::vector<CrossTrafficConfig>& traffic, std::int64_t ms,
            const SchemeConfig& scheme = FixedConfig{1}, std::size_t flows = 1, std::uint64_t seed = 1) {
  const TransportConfig transport;
  FlowConfig flow;
  flow.controller = scheme;
  Simulation simulation(path, std::vector<FlowConfig>(flows, flow), transport, transport.window, seed,
                        traffic);
  simulation.run_until(TimePoint::from_ms(ms));
  Outcome outcome;
  outcome.path = simulation.data_counters();
  outcome.flows = simulation.finish();
  outcome.traffic = simulation.traffic_outcomes();
  return outcome;
}

double mbps(const TrafficOutcome& outcome) {
  return Bandwidth::from_bytes_over(outcome.link_bytes, outcome.active).to_mbps();
}
double mbps(const FlowOutcome& outcome) {
  return Bandwidth::from_bytes_over(outcome.link_bytes, outcome.active).to_mbps();
}

ConstantTraffic constant(double rate_mbps) {
  ConstantTraffic traffic;
  traffic.rate = Bandwidth::from_mbps(rate_mbps);
  return traffic;
}

ShortFlows transfers(double rate_mbps, std::int64_t bytes, SizeDistribution size) {
  ShortFlows traffic;
  traffic.rate = Bandwidth::from_mbps(rate_mbps);
  traffic.mean_size = ByteCount(bytes);
  traffic.size = size;
  return traffic;
}

// Every packet that entered the path is somebody's.
void expect_conservation(const Outcome& o) {
  Tally sent, delivered, inside;
  for (const FlowOutcome& flow : o.flows) {
    EXPECT_EQ(flow.sent, flow.delivered + flow.queue_drops + flow.random_losses + flow.in_flight);
    sent = sent + flow.sent;
    delivered = delivered + flow.delivered;
    inside = inside + flow.in_flight;
  }
  for (const TrafficOutcome& source : o.traffic) {
    EXPECT_GE(source.sent.packets, source.delivered.packets + source.in_flight.packets);
    sent = sent + source.sent;
    delivered = delivered + source.delivered;
    inside = inside + source.in_flight;
  }
  EXPECT_EQ(sent, o.path.counters.entered);
  EXPECT_EQ(delivered, o.path.counters.delivered);
  EXPECT_EQ(inside, o.path.inside);
}

TEST(CrossTraffic, ConstantTakesItsRateAndLeavesTheRest) {
  const Outcome o = run(path_of(12, 100), {constant(3)}, 30'000, CubicConfig{});
  // CUBIC loses a share of the queue's slots to it, it loses a few packets to the queue.
  EXPECT_NEAR(mbps(o.traffic[0]), 3, 0.02 * 3);
  EXPECT_NEAR(mbps(o.flows[0]), 9, 0.05 * 9);
  expect_conservation(o);
}

TEST(CrossTraffic, ConstantIsEvenAndBoundedByStartAndStop) {
  ConstantTraffic traffic = constant(2);
  traffic.start = Duration::from_ms(1'000);
  traffic.stop = Duration::from_ms(3'000);
  const Outcome o = run(path_of(12, 100), {traffic}, 5'000);
  EXPECT_EQ(o.traffic[0].active, Duration::from_ms(2'000));
  EXPECT_NEAR(static_cast<double>(o.traffic[0].sent.packets), 2e6 * 2 / 8 / kPacketBytes, 1);
  EXPECT_EQ(o.traffic[0].sent, o.traffic[0].delivered);
  // Alone but for a packet a round trip, none waits for more than that one.
  EXPECT_LE(o.traffic[0].sojourn.percentile(1.0).to_ms(), 2 * kPacketBytes * 8 / 12e3 + 0.02);
}

TEST(CrossTraffic, MoreThanTheLinkCarriesIsDropped) {
  const Outcome o = run(path_of(2, 20), {constant(3)}, 10'000);
  EXPECT_NEAR(mbps(o.traffic[0]) + mbps(o.flows[0]), 2, 0.01);
  EXPECT_LT(o.traffic[0].delivered.packets, o.traffic[0].sent.packets * 7 / 10);
  expect_conservation(o);
}

TEST(CrossTraffic, OnOffSendsInItsBursts) {
  OnOffTraffic traffic;
  traffic.rate = Bandwidth::from_mbps(6);
  traffic.on = Duration::from_ms(300);
  traffic.off = Duration::from_ms(700);
  traffic.exponential = false;
  const Outcome even = run(path_of(12, 100), {traffic}, 20'000);
  EXPECT_NEAR(mbps(even.traffic[0]), 6 * 0.3, 0.02);
  traffic.exponential = true;
  const Outcome odd = run(path_of(12, 100), {traffic}, 200'000);
  // 200 cycles; the standard error of the share is about 0.3 * sqrt(2 / 200) * 0.7 = 7 %.
  EXPECT_NEAR(mbps(odd.traffic[0]), 6 * 0.3, 4 * 0.07 * 6 * 0.3);
  EXPECT_NE(mbps(odd.traffic[0]),
            mbps(run(path_of(12, 100), {traffic}, 200'000, FixedConfig{1}, 1, 2).traffic[0]));
}

TEST(CrossTraffic, ShortFlowsBringTheirLoadAndAllComplete) {
  const Outcome o = run(path_of(48, 1'000), {transfers(4, 20'000, SizeDistribution::kFixed)}, 100'000);
  const TrafficOutcome& t = o.traffic[0];
  // 25 transfers a second: a Poisson number of them.
  EXPECT_NEAR(static_cast<double>(t.completed), 2'500, 4 * std::sqrt(2'500));
  EXPECT_EQ(t.blocked, 0);
  EXPECT_LT(t.unfinished, 20);
  // 16 packets: two rounds of a window of ten, each at least 60 ms, and the last ACK may wait for its timer.
  EXPECT_GE(t.completion.percentile(0.0).to_ms(), 2 * 60);
  EXPECT_LE(t.completion.percentile(0.5).to_ms(), 2 * 60 + 2 * 25 + 10);
  expect_conservation(o);
}

TEST(CrossTraffic, SizesFollowTheirDistribution) {
  for (const SizeDistribution size : {SizeDistribution::kExponential, SizeDistribution::kPareto}) {
    ShortFlows traffic = transfers(4, 20'000, size);
    traffic.pareto_shape = 2.5;  // of finite variance
    const Outcome o = run(path_of(48, 1'000), {traffic}, 100'000);
    const TrafficOutcome& t = o.traffic[0];
    const double wire = static_cast<double>(t.sent.bytes) / static_cast<double>(t.completed + t.unfinished);
    // Payload by full packets and the last part of one, with 28 bytes each; a handshake of 2 packets.
    EXPECT_NEAR(wire, 20'000 + 28 * 17 + 1252 + 752 + 41 + 3 * 28, 0.1 * 20'000);
    expect_conservation(o);
  }
}

TEST(CrossTraffic, NoMoreTransfersAtOnceThanThereMayBe) {
  ShortFlows traffic = transfers(40, 200'000, SizeDistribution::kExponential);
  traffic.max_flows = 3;
  const Outcome o = run(path_of(2, 50), {traffic}, 10'000, FixedConfig{10});
  EXPECT_LE(o.traffic[0].unfinished, 3);
  EXPECT_GT(o.traffic[0].blocked, 100);
  expect_conservation(o);
}

TEST(CrossTraffic, EverySortAtOnceConservesWithSeveralFlowsAndLosses) {
  OnOffTraffic bursts;
  const std::vector<CrossTrafficConfig> traffic = {constant(2),
                                                   transfers(3, 30'000, SizeDistribution::kPareto), bursts,
                                                   transfers(1, 5'000, SizeDistribution::kFixed)};
  const Outcome o = run(path_of(10, 30, 0.02), traffic, 20'000, CubicConfig{}, 3);
  EXPECT_GT(o.traffic[1].completed, 50);
  EXPECT_GT(o.traffic[3].completed, 300);
  expect_conservation(o);
  const Outcome again = run(path_of(10, 30, 0.02), traffic, 20'000, CubicConfig{}, 3);
  EXPECT_EQ(again.traffic[1].delivered, o.traffic[1].delivered);
  EXPECT_EQ(again.flows[2].delivered, o.flows[2].delivered);
}

}  // namespace
}  // namespace mvfstrl
