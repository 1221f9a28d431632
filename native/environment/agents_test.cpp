// Several agents on one path.
#include <gtest/gtest.h>

#include <cmath>

#include "environment/vector_environment.h"

namespace mvfstrl {
namespace {

// 12 Mbps, 30 ms one way, a deep buffer; actions keep, double, halve.
EnvironmentConfig base(int agents) {
  EnvironmentConfig config;
  ScenarioConfig& scenario = config.scenarios[0];
  scenario.delay_ms = Range::constant(30);
  scenario.queue.packets = Range::constant(1000);
  config.actions.list = {"0", "*2", "/2"};
  config.flows.resize(static_cast<std::size_t>(agents));
  config.action_delay = UniformDelay{};
  config.episode = Duration::from_ms(3'000);
  return config;
}

std::vector<float> row_of(const StepArrays& arrays, std::size_t row) {
  const std::size_t size = arrays.observation.size() / arrays.reward.size();
  const auto begin = arrays.observation.begin() + static_cast<std::ptrdiff_t>(row * size);
  return {begin, begin + static_cast<std::ptrdiff_t>(size)};
}

TEST(Agents, UntilASecondOneStartsTheFirstIsAlone) {
  EnvironmentConfig config = base(2);
  config.flows[1].start = Duration::from_ms(1'250);
  VectorEnvironment two(config, {.num_envs = 1});
  VectorEnvironment one(base(1), {.num_envs = 1});
  two.reset(0);
  one.reset(0);
  bool differed = false;
  for (int step = 0;; ++step) {
    const StepArrays& a = two.recv(0);
    const StepArrays& b = one.recv(0);
    EXPECT_EQ(a.first[0], step == 0);
    EXPECT_EQ(a.active[0], 1);
    EXPECT_EQ(a.truncated[0], b.truncated[0]);
    EXPECT_EQ(a.active[1], step >= 12) << "its first window is that from 1200 to 1300 ms";
    EXPECT_EQ(a.first[1], step == 12);
    EXPECT_EQ(a.truncated[1], step < 12 || step == 29);
    EXPECT_EQ(a.over[0], step == 29);
    EXPECT_EQ(a.over[1], step == 29);
    if (step == 12) {
      EXPECT_EQ(a.window_packets[1], 10) << "what was sent for a row that was not there";
    }
    if (step < 12) {
      EXPECT_EQ(row_of(a, 0), row_of(b, 0)) << step;
      EXPECT_EQ(a.reward[0], b.reward[0]) << step;
      EXPECT_EQ(row_of(a, 1), std::vector<float>(row_of(a, 1).size()));
    }
    differed |= row_of(a, 0) != row_of(b, 0);
    if (a.over[0] != 0) break;
    const std::int32_t first = step == 1 || step == 2 ? 1 : 0;
    two.send(0, std::vector<std::int32_t>{first, step < 16 ? 1 : 0});
    one.send(0, std::vector<std::int32_t>{first});
  }
  EXPECT_TRUE(differed);
  const EpisodeReport report = two.drain_episodes().at(0);
  EXPECT_EQ(report.flows[0].steps, 29);
  EXPECT_EQ(report.flows[1].steps, 17);
  EXPECT_EQ(report.episode_return, report.flows[0].episode_return);
  EXPECT_TRUE(std::isfinite(report.flows[1].episode_return));
}

TEST(Agents, OneThatStopsHasATruncatedRowAndThenNone) {
  EnvironmentConfig config = base(2);
  config.flows[0].stop = Duration::from_ms(1'000);
  config.flows[1].stop = Duration::from_ms(2'050);
  VectorEnvironment environment(config, {.num_envs = 1});
  environment.reset(0);
  std::vector<int> active(2), truncated(2);
  int steps = 0;
  while (true) {
    const StepArrays& arrays = environment.recv(0);
    for (std::size_t i = 0; i < 2; ++i) {
      active[i] += arrays.active[i];
      truncated[i] += arrays.active[i] != 0 && arrays.truncated[i] != 0;
      if (arrays.active[i] != 0) continue;
      EXPECT_EQ(arrays.truncated[i], 1);
      EXPECT_EQ(arrays.reward[i], 0);
    }
    ++steps;
    if (arrays.over[0] != 0) break;
    environment.send(0, std::vector<std::int32_t>{0, 0});
  }
  EXPECT_EQ(active, (std::vector<int>{10, 21}));
  EXPECT_EQ(truncated, (std::vector<int>{1, 1}));
  EXPECT_EQ(steps, 21) << "there is nothing to decide after the last one's stop";
  const EpisodeReport report = environment.drain_episodes().at(0);
  EXPECT_EQ(report.length_ms, 3000) << "the episode is played to its end all the same";
  // The next episode.
  environment.send(0, std::vector<std::int32_t>{0, 0});
  const StepArrays& arrays = environment.recv(0);
  EXPECT_EQ(arrays.first, (std::vector<std::uint8_t>{1, 1}));
  EXPECT_EQ(arrays.over, (std::vector<std::uint8_t>{0, 0}));
}

TEST(Agents, ASingleOneThatStopsLeavesTheLinkToTheOthers) {
  EnvironmentConfig config = base(1);
  config.flows[0].stop = Duration::from_ms(1'000);
  FlowConfig cubic;
  cubic.controller = CubicConfig{};
  config.flows.push_back(cubic);
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.record_series(true);
  environment.reset(1);
  int steps = 0;
  while (!environment.over()) {
    const StepResult result = environment.step(0);
    ++steps;
    EXPECT_EQ(result.truncated, steps == 9);
  }
  EXPECT_EQ(steps, 9);
  const EpisodeReport report = environment.finish();
  EXPECT_EQ(report.length_ms, 3000);
  EXPECT_EQ(report.series.back().time_ms, 3000);
  EXPECT_NEAR(report.series.back().throughput_mbps, 12, 0.25);
}

TEST(Agents, EachHasItsOwnWindowDelayAndReward) {
  EnvironmentConfig config = base(2);
  config.action_delay = ConstantDelay{Duration::from_ms(100)};  // the longest there may be
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  environment.step(std::vector<std::int32_t>{0, 1});
  EXPECT_EQ(environment.agent(0).window_packets(), 10);
  EXPECT_EQ(environment.agent(1).window_packets(), 20);
  for (int i = 0; i < 5; ++i) environment.step(std::vector<std::int32_t>{0, 0});
  EXPECT_EQ(environment.agent(0).result().skipped, 0);
  EXPECT_GT(environment.agent(1).result().reward, environment.agent(0).result().reward);
}

TEST(Agents, RandomOnesDrawActionsOfTheirOwn) {
  EnvironmentConfig config = base(2);
  for (FlowConfig& flow : config.flows) flow.controller = RandomActions{};
  const EnvironmentShared shared(config);
  Environment environment(shared);
  environment.reset(1);
  bool differ = false;
  for (int i = 0; i < 10; ++i) {
    environment.step(std::vector<std::int32_t>{0, 0});
    differ |= environment.agent(0).window_packets() != environment.agent(1).window_packets();
  }
  EXPECT_TRUE(differ);
}

TEST(Agents, TheSameBytesWhateverTheThreads) {
  EnvironmentConfig config = base(3);
  config.flows[1].start = Duration::from_ms(500);
  config.flows[2].stop = Duration::from_ms(900);
  config.episode = Duration::from_ms(1'500);
  const auto play = [&](int threads) {
    VectorEnvironment environment(config,
                                  {.num_envs = 8, .num_groups = 2, .num_threads = threads, .seed = 3});
    std::vector<float> all;
    for (std::int32_t g = 0; g < 2; ++g) environment.reset(g);
    for (int round = 0; round < 40; ++round) {
      for (std::int32_t g = 0; g < 2; ++g) {
        const StepArrays& arrays = environment.recv(g);
        all.insert(all.end(), arrays.observation.begin(), arrays.observation.end());
        all.insert(all.end(), arrays.reward.begin(), arrays.reward.end());
        all.insert(all.end(), arrays.active.begin(), arrays.active.end());
        std::vector<std::int32_t> actions;
        for (int i = 0; i < 12; ++i) actions.push_back((round + i + g) % 3);
        environment.send(g, actions);
      }
    }
    for (std::int32_t g = 0; g < 2; ++g) environment.recv(g);
    return all;
  };
  const std::vector<float> expected = play(0);
  for (const int threads : {1, 3}) EXPECT_EQ(play(threads), expected) << threads << " threads";
}

TEST(Agents, WhatSeveralCannotDoIsRefusedByName) {
  const auto refusal = [](const EnvironmentConfig& config) -> std::string {
    try {
      const EnvironmentShared shared(config);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  EnvironmentConfig counting = base(2);
  counting.observation.window_kind = WindowKind::kCount;
  EXPECT_EQ(refusal(counting), "observation.window_kind: must be time where several flows are agents");
  EnvironmentConfig slow = base(2);
  slow.action_delay = UniformDelay{Duration::from_ms(2), Duration::from_ms(101)};
  EXPECT_EQ(refusal(slow),
            "action_delay: must not exceed the observation window where several flows are agents");
  EnvironmentConfig late = base(2);
  late.flows[1].start = late.episode;
  EXPECT_EQ(refusal(late), "flows[1].start_ms: must be before the episode's end");
  EXPECT_EQ(refusal(base(2)), "accepted");
}

}  // namespace
}  // namespace mvfstrl
