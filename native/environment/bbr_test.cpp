// BBR over whole paths in virtual time; every bound is derived from rate, delay, buffer and packet sizes.
#include <gtest/gtest.h>

#include "environment/simulation.h"

namespace mvfstrl {
namespace {

constexpr double kPacketBytes = 1252 + 28;

struct Link {
  double mbps = 12;
  double delay_ms = 30;
  double queue_bdp = 1;
  double loss = 0;

  double rtt_ms() const { return 2 * delay_ms; }
  double packet_ms() const { return kPacketBytes * 8 / (mbps * 1e3); }
};

std::vector<FlowOutcome> run(const Link& link, const std::vector<SchemeConfig>& schemes, std::int64_t ms) {
  ScenarioConfig scenario;
  scenario.uplink = scenario.downlink = ConstantRateScenario{Range::constant(link.mbps)};
  scenario.delay_ms = Range::constant(link.delay_ms);
  scenario.loss = Range::constant(link.loss);
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range::constant(link.queue_bdp);
  std::vector<FlowConfig> flows;
  for (const SchemeConfig& scheme : schemes) flows.emplace_back().controller = scheme;
  const TransportConfig transport;
  Simulation simulation(ScenarioDistribution({scenario}, ByteCount(1252)).sample(1), flows, transport,
                        transport.window, 1);
  simulation.run_until(TimePoint::from_ms(ms));
  return simulation.finish();
}

double utilisation(const FlowOutcome& outcome, const Link& link) {
  return Bandwidth::from_bytes_over(outcome.link_bytes, outcome.active).to_mbps() / link.mbps;
}

double loss(const FlowOutcome& outcome) {
  return static_cast<double>(outcome.queue_drops.packets) / static_cast<double>(outcome.sent.packets);
}

// A tenth is allowed for Startup, Drain and, each ten seconds, 200 ms and a round of ProbeRtt. A probe puts a
// quarter of the product into the queue, and beside it stand three quanta of two packets and the ten of an
// ACK: on average the queue is well below the half product that leaves the buffer half empty.
TEST(BbrScenario, FillsTheLinkWithHalfTheBufferEmpty) {
  const Link link;
  const FlowOutcome outcome = run(link, {BbrConfig{}}, 30'000)[0];
  EXPECT_GT(utilisation(outcome, link), 0.9);
  EXPECT_LT(outcome.sojourn.mean().to_ms(), link.rtt_ms() / 2);
  EXPECT_LT(loss(outcome), 0.02);
}

TEST(BbrScenario, VersionThreeKeepsTheQueueShorterStill) {
  const Link link;
  const FlowOutcome outcome = run(link, {Bbr3Config{}}, 30'000)[0];
  EXPECT_GT(utilisation(outcome, link), 0.9);
  EXPECT_LT(outcome.sojourn.mean().to_ms(), link.rtt_ms() / 4 + 10 * link.packet_ms());
  EXPECT_LT(loss(outcome), 0.01);
}

// Nothing fills a buffer of eight products: the windows of 2 (and 2.25) products bound the queue to one.
TEST(BbrScenario, LeavesADeepBufferAlone) {
  const Link link{.queue_bdp = 8};
  for (const SchemeConfig& scheme : {SchemeConfig(BbrConfig{}), SchemeConfig(Bbr3Config{})}) {
    const FlowOutcome outcome = run(link, {scheme}, 20'000)[0];
    EXPECT_GT(utilisation(outcome, link), 0.9) << scheme_name(scheme);
    EXPECT_LT(outcome.sojourn.percentile(0.95).to_ms(), link.rtt_ms() + 20 * link.packet_ms())
        << scheme_name(scheme);
    EXPECT_EQ(outcome.queue_drops.packets, 0U) << scheme_name(scheme);
  }
}

// One packet in a hundred lost at random: CUBIC takes each loss for a full buffer, BBR does not. Version 3
// tolerates 2 % of a round's packets, so it takes a product of some hundred packets to tell 1 % from that,
// and what it does react to leaves it beta.
TEST(BbrScenario, RandomLossCostsLittle) {
  const Link link{.mbps = 100, .loss = 0.01};  // 586 packets
  EXPECT_GT(utilisation(run(link, {BbrConfig{}}, 20'000)[0], link), 0.9);
  EXPECT_GT(utilisation(run(link, {Bbr3Config{}}, 20'000)[0], link), Bbr3Config{}.beta);
  EXPECT_LT(utilisation(run(link, {CubicConfig{}}, 20'000)[0], link), 0.3);
}

// A queue of a tenth of the product: 28 packets.
TEST(BbrScenario, VersionThreeLosesLessInAShallowBuffer) {
  const Link link{.mbps = 48, .queue_bdp = 0.1};
  const FlowOutcome first = run(link, {BbrConfig{}}, 20'000)[0];
  const FlowOutcome third = run(link, {Bbr3Config{}}, 20'000)[0];
  EXPECT_LT(loss(third), loss(first) / 2);
  EXPECT_GT(utilisation(third, link), 0.7);
}

// In auto, BBR is paced and CUBIC beside it is not; both live, and share the link fully.
TEST(BbrScenario, SharesALinkWithAnUnpacedCubic) {
  const Link link{.queue_bdp = 2};
  for (const SchemeConfig& scheme : {SchemeConfig(BbrConfig{}), SchemeConfig(Bbr3Config{})}) {
    const std::vector<FlowOutcome> outcomes = run(link, {scheme, CubicConfig{}}, 60'000);
    const double bbr = utilisation(outcomes[0], link);
    const double cubic = utilisation(outcomes[1], link);
    EXPECT_GT(bbr, 0.1) << scheme_name(scheme);
    EXPECT_GT(cubic, 0.1) << scheme_name(scheme);
    EXPECT_GT(bbr + cubic, 0.95) << scheme_name(scheme);
  }
}

}  // namespace
}  // namespace mvfstrl
