#include "environment/environment.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mvfstrl {
namespace {

// 12 Mbps, 30 ms one way, a deep buffer; actions keep, double, halve.
EnvironmentConfig base() {
  EnvironmentConfig config;
  ScenarioConfig& scenario = config.scenarios[0];
  scenario.delay_ms = Range::constant(30);
  scenario.queue.packets = Range::constant(1000);
  config.actions.list = {"0", "*2", "/2"};
  config.episode = Duration::from_ms(3'000);
  return config;
}

std::vector<float> observe(const Environment& environment) {
  std::vector<float> row(environment.observation_size());
  environment.write_observation(row);
  return row;
}

TEST(Environment, AnEpisodeHasOneStepAWindowAfterTheFirst) {
  const EnvironmentShared shared(base());
  Environment environment(shared);
  environment.reset(1);
  int steps = 0;
  StepResult result;
  while (!result.truncated) {
    result = environment.step(0);
    ++steps;
    ASSERT_FALSE(result.terminated);
    ASSERT_EQ(result.skipped, 0);
  }
  EXPECT_EQ(steps, 29);
  const EpisodeReport report = environment.finish();
  EXPECT_EQ(report.steps, 29);
  EXPECT_EQ(report.length_ms, 3000);
  EXPECT_FALSE(report.terminated);
}

// Packets sent during the first step when its action, which doubles the window, takes effect so late.
std::uint64_t sent_in_a_step(double delay_ms) {
  EnvironmentConfig config = base();
  config.action_delay = ConstantDelay{Duration::from_ms_f(delay_ms)};
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  EXPECT_EQ(environment.window_packets(), 10);
  const std::uint64_t before = environment.simulation()->sender(0).stats().packets_sent;
  environment.step(1);
  EXPECT_EQ(environment.window_packets(), 20);
  return environment.simulation()->sender(0).stats().packets_sent - before;
}

TEST(Environment, AnActionTakesEffectAfterItsDelayAndNotBefore) {
  // The window of 100 ms holds at least one round of at most 60 + 25 ms in which ten packets more may leave.
  const std::uint64_t at_once = sent_in_a_step(0);
  const std::uint64_t at_the_end = sent_in_a_step(99);
  EXPECT_GE(at_once, at_the_end + 10);
  // Two rounds of ten at the most, and ten more when the window doubles.
  EXPECT_LE(at_the_end, 30U);
  EXPECT_GE(at_the_end, 20U);
}

TEST(Environment, WindowsClosingWhileAnAnswerIsOutstandingAreSkippedAndTheirRewardKept) {
  // Fixed conditions: with a window of one packet every window earns about the same.
  EnvironmentConfig config = base();
  config.action_delay = ConstantDelay{Duration::from_ms(250)};
  const EnvironmentShared slow(config);
  Environment delayed(slow);
  delayed.reset(1);
  // Answer at 350 ms: windows closing at 200 and 300 are skipped, the one at 400 ends the step.
  const StepResult first = delayed.step(0);
  EXPECT_EQ(first.skipped, 2);
  EXPECT_EQ(delayed.simulation()->now(), TimePoint::from_ms(400));

  config.action_delay = ConstantDelay{Duration::zero()};
  const EnvironmentShared fast(config);
  Environment prompt(fast);
  prompt.reset(1);
  double reward = 0;
  for (int i = 0; i < 3; ++i) reward += prompt.step(0).reward;
  EXPECT_EQ(prompt.simulation()->now(), TimePoint::from_ms(400));
  EXPECT_DOUBLE_EQ(first.reward, reward);
}

TEST(Environment, AnAnswerAtTheVeryCloseIsInTime) {
  EnvironmentConfig config = base();
  config.action_delay = ConstantDelay{Duration::from_ms(100)};
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  EXPECT_EQ(environment.step(1).skipped, 0);
  EXPECT_EQ(environment.window_packets(), 20);
}

TEST(Environment, AnEpisodeEndsThoughAnAnswerIsOutstanding) {
  EnvironmentConfig config = base();
  config.action_delay = ConstantDelay{Duration::from_ms(5'000)};
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  const StepResult result = environment.step(1);
  EXPECT_TRUE(result.truncated);
  EXPECT_EQ(result.skipped, 28) << "the last window is not skipped: it ends the step";
  EXPECT_EQ(environment.finish().skipped_observations, 28);
}

TEST(Environment, UniformAndEmpiricalDelaysStayInTheirSupport) {
  EnvironmentConfig config = base();
  config.action_delay = EmpiricalDelay{{Duration::from_ms(10), Duration::from_ms(150)}};
  config.episode = Duration::from_ms(30'000);
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(3);
  int prompt = 0;
  int late = 0;
  StepResult result;
  while (!result.truncated) {
    result = environment.step(0);
    if (!result.truncated) ++(result.skipped == 0 ? prompt : late);
    ASSERT_LE(result.skipped, 1);
  }
  // About 200 decisions with equal chances: 4 standard deviations.
  EXPECT_NEAR(prompt, late, 4 * std::sqrt(prompt + late));
}

TEST(Environment, AFinishedTransferTerminates) {
  EnvironmentConfig config = base();
  config.flows[0].app = FixedSizeApp{ByteCount(200'000)};
  config.episode = Duration::from_ms(30'000);
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  StepResult result;
  int steps = 0;
  while (!result.terminated && !result.truncated) {
    result = environment.step(0);
    ++steps;
  }
  EXPECT_TRUE(result.terminated);
  EXPECT_FALSE(result.truncated);
  // 160 packets, ten a round of 60 to 75 ms.
  EXPECT_GE(steps, 9);
  EXPECT_LE(steps, 12);
  EXPECT_TRUE(environment.finish().terminated);
}

TEST(Environment, CountWindowsCloseWithTheirLastEvent) {
  EnvironmentConfig config = base();
  config.observation.window_kind = WindowKind::kCount;
  config.observation.window_events = 4;
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  double before = environment.simulation()->now().to_ms();
  // A window of ten packets: an event or two a round of at least 60 ms, so four last 100 to 300 ms.
  for (int i = 0; i < 10; ++i) {
    ASSERT_FALSE(environment.step(0).truncated);
    const double now = environment.simulation()->now().to_ms();
    EXPECT_GE(now - before, 60);
    EXPECT_LE(now - before, 300);
    before = now;
  }
}

TEST(Environment, NativeSchemesIgnoreActions) {
  EnvironmentConfig config = base();
  config.flows[0].controller = CubicConfig{};
  const EnvironmentShared shared(config);
  Environment a(shared), b(shared);
  a.reset(1);
  b.reset(1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.step(0).reward, b.step(2).reward);
  EXPECT_EQ(observe(a), observe(b));
}

TEST(Environment, RandomActionsComeFromTheSeedAlone) {
  EnvironmentConfig config = base();
  config.flows[0].controller = RandomActions{};
  const EnvironmentShared shared(config);
  Environment a(shared), b(shared), c(shared);
  a.reset(1);
  b.reset(1);
  c.reset(2);
  bool differs = false;
  for (int i = 0; i < 20; ++i) {
    a.step(0);
    b.step(1);
    c.step(0);
    EXPECT_EQ(a.window_packets(), b.window_packets());
    differs |= a.window_packets() != c.window_packets();
  }
  EXPECT_TRUE(differs);
}

TEST(Environment, ReplayingAnEpisodeGivesTheSameBytes) {
  EnvironmentConfig config = base();
  config.scenarios[0].uplink = CellularRateScenario{};
  config.scenarios[0].loss = Range::constant(0.01);
  const EnvironmentShared shared(config);
  Environment environment(shared);
  std::vector<std::vector<float>> runs[2];
  for (auto& rows : runs) {
    environment.reset(77);
    rows.push_back(observe(environment));
    for (int i = 0; i < 20; ++i) {
      environment.step(i % 3);
      rows.push_back(observe(environment));
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(Environment, AWindowWithoutEventsIsAStepAndSaysSo) {
  EnvironmentConfig config = base();
  config.scenarios[0].delay_ms = Range::constant(400);  // nothing comes back for 800 ms
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  EXPECT_EQ(observe(environment)[0], 1.0F);
  for (int i = 0; i < 8; ++i) environment.step(0);  // to 900 ms
  EXPECT_EQ(observe(environment)[0], 0.0F);
}

TEST(Environment, BadConfigurationsAreRefusedByName) {
  const auto refusal = [](const EnvironmentConfig& config) -> std::string {
    try {
      const EnvironmentShared shared(config);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  EnvironmentConfig late = base();
  late.flows[0].start = late.episode;
  EXPECT_EQ(refusal(late), "flows[0].start_ms: must be before the episode's end");
  EnvironmentConfig actions = base();
  actions.actions.list = {"*2"};
  EXPECT_NE(refusal(actions).find("action"), std::string::npos) << refusal(actions);
  EnvironmentConfig transport = base();
  transport.transport.packet_threshold = 0;
  EXPECT_NE(refusal(transport).find("packet_threshold"), std::string::npos) << refusal(transport);
}

}  // namespace
}  // namespace mvfstrl
