#include "environment/series.h"

#include <gtest/gtest.h>

#include <cmath>

#include "environment/environment.h"

namespace mvfstrl {
namespace {

// 12 Mbps, 30 ms one way, a buffer of a bandwidth-delay product.
EnvironmentConfig base(const SchemeConfig& scheme) {
  EnvironmentConfig config;
  ScenarioConfig& scenario = config.scenarios[0];
  scenario.delay_ms = Range::constant(30);
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range::constant(1);
  config.flows[0].controller = scheme;
  config.episode = Duration::from_ms(5'050);  // the last window is cut
  return config;
}

EpisodeReport play(const EnvironmentConfig& config, bool record = true) {
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.record_series(record);
  environment.reset(1);
  StepResult result;
  while (!result.truncated && !result.terminated) result = environment.step(3);  // +10 packets
  return environment.finish();
}

std::vector<SeriesPoint> of_flow(const EpisodeReport& report, std::int64_t flow) {
  std::vector<SeriesPoint> points;
  for (const SeriesPoint& point : report.series) {
    if (point.flow == flow) points.push_back(point);
  }
  return points;
}

// Megabits that a flow's points add up to; its first window begins at `from_ms`.
double megabits(const std::vector<SeriesPoint>& points, double from_ms = 0) {
  double sum = 0;
  for (const SeriesPoint& point : points) {
    sum += point.throughput_mbps * (point.time_ms - from_ms) * 1e-3;
    from_ms = point.time_ms;
  }
  return sum;
}

EnvironmentConfig two_flows() {
  EnvironmentConfig config = base(CubicConfig{});
  FlowConfig second = config.flows[0];
  second.start = Duration::from_ms(1'030);
  second.stop = Duration::from_ms(3'370);
  config.flows.push_back(second);
  return config;
}

TEST(Series, SumsToTheTotalsOfEveryFlow) {
  EnvironmentConfig config = two_flows();
  const EpisodeReport report = play(config);
  const auto first = of_flow(report, 0);
  const auto second = of_flow(report, 1);
  EXPECT_NEAR(megabits(first), report.flows[0].throughput_mbps * 5.05, 1e-6);
  EXPECT_NEAR(megabits(second, 1'000), report.flows[1].throughput_mbps * 2.34, 1e-6);
  std::int64_t sent = 0;
  for (const SeriesPoint& point : first) sent += point.sent_packets;
  EXPECT_EQ(sent, report.flows[0].sent_packets);
  // Packets by their departure: the means weighted with what left make the flow's mean, up to what was
  // dropped or still on its way at the end.
  double delay = 0, weight = 0, before = 0;
  for (const SeriesPoint& point : first) {
    const double megabit = point.throughput_mbps * (point.time_ms - before);
    if (megabit > 0) delay += point.queue_delay_ms * megabit;
    weight += megabit;
    before = point.time_ms;
  }
  EXPECT_NEAR(delay / weight, report.flows[0].queue_delay_mean_ms, 0.5);
}

TEST(Series, HoldsTheWindowsInWhichAFlowWasActive) {
  const EpisodeReport report = play(two_flows());
  const auto first = of_flow(report, 0);
  const auto second = of_flow(report, 1);
  ASSERT_EQ(first.size(), 51U);
  EXPECT_EQ(first.front().time_ms, 100);
  EXPECT_EQ(first.back().time_ms, 5'050);
  ASSERT_EQ(second.size(), 24U);  // 1000 to 3400 ms
  EXPECT_EQ(second.front().time_ms, 1'100);
  EXPECT_EQ(second.back().time_ms, 3'400);
  EXPECT_TRUE(std::isnan(second[3].reward)) << "nobody observes it";
  EXPECT_TRUE(std::isnan(second[3].rtt_ms));
  EXPECT_FALSE(std::isnan(first[3].reward)) << "flow 0 is observed whatever drives it";
  // A link of 12 Mbps whose queue is never empty.
  for (std::size_t i = 20; i < 30; ++i) {
    EXPECT_NEAR(first[i].capacity_mbps, 12, 1e-3);
    EXPECT_NEAR(first[i].throughput_mbps + second[i - 10].throughput_mbps, 12, 0.25);  // a packet is 0.1
  }
}

TEST(Series, CountsWhatRandomLossTakesBehindTheLink) {
  EnvironmentConfig config = base(FixedConfig{60});
  config.scenarios[0].loss = Range::constant(0.05);
  const EpisodeReport report = play(config);
  EXPECT_GT(report.flows[0].random_losses, 100);
  EXPECT_NEAR(megabits(of_flow(report, 0)), report.flows[0].throughput_mbps * 5.05, 0.15);
  std::int64_t lost = 0;
  for (const SeriesPoint& point : report.series) {
    lost += point.lost_packets;
    EXPECT_GE(point.loss, 0);
    EXPECT_LE(point.loss, 1);
  }
  // All but the last round trip's have been noticed.
  EXPECT_NEAR(static_cast<double>(lost), static_cast<double>(report.flows[0].random_losses), 12);
}

TEST(Series, ShowsActionsAndRewardsWhereTheyFell) {
  const EpisodeReport report = play(base(ExternalConfig{}));
  ASSERT_EQ(report.series.size(), 51U);
  EXPECT_EQ(report.series[0].action, -1);
  double rewards = 0;
  for (std::size_t i = 1; i < report.series.size(); ++i) {
    EXPECT_EQ(report.series[i].action, 3);
    rewards += report.series[i].reward;
  }
  EXPECT_NEAR(rewards, report.episode_return, 1e-9);
  EXPECT_EQ(report.series[0].window_packets, 10);
  EXPECT_EQ(report.series[5].window_packets, 60);
}

TEST(Series, WindowsByCountGiveATenthOfASecondEach) {
  EnvironmentConfig config = base(ExternalConfig{});
  config.observation.window_kind = WindowKind::kCount;
  config.observation.window_events = 3;
  const EpisodeReport report = play(config);
  ASSERT_EQ(report.series.size(), 51U);
  double rewards = 0;
  std::size_t observed = 0;
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_DOUBLE_EQ(report.series[i].time_ms, 100.0 * static_cast<double>(i + 1));
    if (std::isnan(report.series[i].reward)) continue;
    ++observed;
    rewards += report.series[i].reward;
  }
  EXPECT_GT(observed, 25U);
  EXPECT_NE(rewards, 0);
}

TEST(Series, RecordingChangesNothing) {
  for (const WindowKind kind : {WindowKind::kTime, WindowKind::kCount}) {
    EnvironmentConfig config = base(ExternalConfig{});
    config.observation.window_kind = kind;
    config.scenarios[0].uplink = CellularRateScenario{};
    config.flows[0].start = Duration::from_ms(130);
    config.flows.push_back(two_flows().flows[1]);
    const EpisodeReport with = play(config);
    const EpisodeReport without = play(config, false);
    EXPECT_FALSE(with.series.empty());
    EXPECT_TRUE(without.series.empty());
    EXPECT_EQ(with.episode_return, without.episode_return);
    EXPECT_EQ(with.steps, without.steps);
    EXPECT_EQ(with.flows[1].delivered_packets, without.flows[1].delivered_packets);
    EXPECT_EQ(with.flows[0].queue_delay_mean_ms, without.flows[0].queue_delay_mean_ms);
  }
}

}  // namespace
}  // namespace mvfstrl
