#include "environment/vector_environment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <thread>

namespace mvfstrl {
namespace {

EnvironmentConfig small() {
  EnvironmentConfig config;
  ScenarioConfig lossy = config.scenarios[0];
  lossy.name = "lossy";
  lossy.loss = {0, 0.05, false};
  lossy.uplink = CellularRateScenario{};
  config.scenarios.push_back(lossy);
  config.scenarios[0].uplink = ConstantRateScenario{{2, 20, true}};
  config.episode = Duration::from_ms(1'500);
  return config;
}

struct Everything {
  std::vector<float> observation, reward;
  std::vector<std::uint8_t> truncated, first;
  std::vector<std::int32_t> job;
  std::vector<std::uint64_t> seeds;
  std::vector<double> returns;
  bool operator==(const Everything&) const = default;
};

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Two groups in turn, the way an actor uses them.
Everything play(int threads, std::uint64_t seed, int rounds = 40) {
  VectorEnvironment environment(small(),
                                {.num_envs = 12, .num_groups = 2, .num_threads = threads, .seed = seed});
  Everything all;
  for (std::int32_t g = 0; g < 2; ++g) environment.reset(g);
  for (int round = 0; round < rounds; ++round) {
    for (std::int32_t g = 0; g < 2; ++g) {
      const StepArrays& arrays = environment.recv(g);
      append(all.observation, arrays.observation);
      append(all.reward, arrays.reward);
      append(all.truncated, arrays.truncated);
      append(all.first, arrays.first);
      append(all.job, arrays.job);
      std::vector<std::int32_t> actions;
      for (int i = 0; i < 6; ++i) actions.push_back((round + i + g) % 5);
      environment.send(g, actions);
    }
  }
  for (std::int32_t g = 0; g < 2; ++g) environment.recv(g);
  for (const EpisodeReport& report : environment.drain_episodes()) {
    all.seeds.push_back(report.seed);
    all.returns.push_back(report.episode_return);
  }
  return all;
}

TEST(VectorEnvironment, SameSeedSameBytesWhateverTheThreads) {
  const Everything expected = play(0, 7);
  EXPECT_GE(expected.seeds.size(), 24U);
  EXPECT_EQ(std::set(expected.seeds.begin(), expected.seeds.end()).size(), expected.seeds.size())
      << "no episode is played twice";
  for (const int threads : {1, 2, 4}) EXPECT_TRUE(play(threads, 7) == expected) << threads << " threads";
  EXPECT_FALSE(play(2, 8) == expected);
}

// The same rounds, received in the group's arrays and in rows of the caller's, one after another.
TEST(VectorEnvironment, RowsOfTheCallersHoldWhatArraysWould) {
  constexpr std::size_t kEnvs = 6;
  constexpr std::size_t kRounds = 20;
  const VectorOptions options{.num_envs = kEnvs, .num_threads = 2, .seed = 3};
  VectorEnvironment usual(small(), options);
  VectorEnvironment direct(small(), options);
  const std::size_t size = usual.observation_size();
  std::vector<float> observation(kRounds * kEnvs * size), reward(kRounds * kEnvs);
  std::vector<std::uint8_t> terminated(kRounds * kEnvs, 9), truncated(terminated), first(terminated);
  std::vector<std::int32_t> job(kRounds * kEnvs, -1);
  Everything expected;
  std::vector<std::uint8_t> expected_terminated;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const std::size_t row = round * kEnvs;
    const StepRows into{.observation = &observation[row * size],
                        .reward = &reward[row],
                        .terminated = &terminated[row],
                        .truncated = &truncated[row],
                        .first = &first[row],
                        .job = &job[row]};
    const std::vector<std::int32_t> actions(kEnvs, static_cast<std::int32_t>(round % 5));
    if (round == 0) {
      usual.reset(0);
      direct.reset(0, &into);
    } else {
      usual.send(0, actions);
      direct.send(0, actions, &into);
    }
    const StepArrays& arrays = usual.recv(0);
    append(expected.observation, arrays.observation);
    append(expected.reward, arrays.reward);
    append(expected_terminated, arrays.terminated);
    append(expected.truncated, arrays.truncated);
    append(expected.first, arrays.first);
    append(expected.job, arrays.job);
    const StepArrays& others = direct.recv(0);
    EXPECT_EQ(others.over, arrays.over);
    EXPECT_EQ(others.active, arrays.active);
    EXPECT_EQ(others.skipped, arrays.skipped);
    EXPECT_EQ(others.window_packets, arrays.window_packets);
    EXPECT_EQ(others.observation, std::vector<float>(kEnvs * size)) << "left as they were";
  }
  EXPECT_EQ(observation, expected.observation);
  EXPECT_EQ(reward, expected.reward);
  EXPECT_EQ(terminated, expected_terminated);
  EXPECT_EQ(truncated, expected.truncated);
  EXPECT_EQ(first, expected.first);
  EXPECT_EQ(job, expected.job);
  EXPECT_EQ(usual.drain_episodes().size(), direct.drain_episodes().size());
}

// Two agents an environment; sibling j of a set acts as the j-th of three environments without siblings.
TEST(VectorEnvironment, SiblingsPlayOneEpisodeWithActionsOfTheirOwn) {
  constexpr std::size_t kSiblings = 3;
  EnvironmentConfig config = small();
  config.flows.resize(2, config.flows[0]);
  VectorEnvironment together(config, {.num_envs = 12, .num_groups = 2, .seed = 5, .siblings = 3});
  std::vector<std::unique_ptr<VectorEnvironment>> apart;
  for (std::size_t j = 0; j < kSiblings; ++j) {
    apart.push_back(std::make_unique<VectorEnvironment>(
        config, VectorOptions{.num_envs = 4, .num_groups = 2, .seed = 5}));
    apart[j]->reset(1);
  }
  together.reset(1);
  ASSERT_EQ(together.group_size(), 12);
  const std::size_t size = together.observation_size();
  bool differed = false;
  for (std::int32_t round = 0; round < 20; ++round) {
    const StepArrays& rows = together.recv(1);
    std::vector<std::int32_t> actions(12);
    for (std::size_t j = 0; j < kSiblings; ++j) {
      const StepArrays& alone = apart[j]->recv(1);
      std::vector<std::int32_t> own(4);
      for (std::size_t i = 0; i < own.size(); ++i) {
        const std::size_t row = i * kSiblings + j;
        EXPECT_EQ(rows.reward[row], alone.reward[i]);
        EXPECT_EQ(rows.job[row], alone.job[i]);
        EXPECT_EQ(rows.over[row], alone.over[i]);
        EXPECT_TRUE(std::equal(&alone.observation[i * size], &alone.observation[i * size] + size,
                               &rows.observation[row * size]));
        differed |= rows.reward[row] != rows.reward[i * kSiblings];
        own[i] = actions[row] = (round + static_cast<std::int32_t>(row)) % 5;
      }
      apart[j]->send(1, own);
    }
    together.send(1, actions);
  }
  EXPECT_TRUE(differed);
  together.recv(1);
  const auto reports = together.drain_episodes();
  ASSERT_GE(reports.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(reports[i].env, 6 + static_cast<std::int64_t>(i));
    EXPECT_EQ(reports[i].seed, reports[i / kSiblings * kSiblings].seed);
  }
  EXPECT_THROW(VectorEnvironment(config, {.num_envs = 8, .num_groups = 2, .siblings = 3}),
               std::invalid_argument);
}

TEST(VectorEnvironment, NextStepReset) {
  VectorEnvironment environment(small(), {.num_envs = 1, .num_threads = 1});
  const std::vector<std::int32_t> keep = {0};
  environment.reset(0);
  EXPECT_EQ(environment.recv(0).first[0], 1);
  for (int step = 1; step <= 14; ++step) {
    environment.send(0, keep);
    const StepArrays& arrays = environment.recv(0);
    EXPECT_EQ(arrays.first[0], 0);
    EXPECT_EQ(arrays.truncated[0], step == 14 ? 1 : 0);
    EXPECT_EQ(arrays.terminated[0], 0);
  }
  EXPECT_EQ(environment.drain_episodes().size(), 1U);
  environment.send(0, keep);
  const StepArrays& arrays = environment.recv(0);
  EXPECT_EQ(arrays.first[0], 1);
  EXPECT_EQ(arrays.reward[0], 0.0F);
  EXPECT_EQ(arrays.truncated[0], 0);
  EXPECT_TRUE(environment.drain_episodes().empty());
}

TEST(VectorEnvironment, ResetWithPlaysExactlyTheEpisodesAskedFor) {
  VectorEnvironment environment(small(), {.num_envs = 3, .num_threads = 2});
  const std::vector<std::uint64_t> seeds = {41, 41, ~std::uint64_t{0}};
  const std::vector<std::int32_t> scenarios = {1, 1, 0};
  environment.reset_with(0, seeds, scenarios);
  const std::vector<std::int32_t> keep(3, 0);
  environment.recv(0);
  for (int step = 0; step < 14; ++step) {
    environment.send(0, keep);
    const StepArrays& arrays = environment.recv(0);
    EXPECT_EQ(arrays.job, scenarios);
    EXPECT_EQ(arrays.reward[0], arrays.reward[1]);
  }
  const auto reports = environment.drain_episodes();
  ASSERT_EQ(reports.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(reports[i].seed, seeds[i]);
    EXPECT_EQ(reports[i].scenario_index, scenarios[i]);
    EXPECT_EQ(reports[i].env, static_cast<std::int64_t>(i));
  }
}

TEST(VectorEnvironment, MisuseIsRefusedAndHarmless) {
  VectorEnvironment environment(small(), {.num_envs = 2, .num_groups = 2});
  const std::vector<std::int32_t> keep = {0};
  const std::vector<std::int32_t> five = {5};
  const std::vector<std::int32_t> two = {0, 0};
  EXPECT_THROW(environment.recv(0), std::logic_error);
  EXPECT_THROW(environment.send(0, keep), std::logic_error) << "not reset yet";
  environment.reset(0);
  EXPECT_THROW(environment.reset(0), std::logic_error) << "not received yet";
  EXPECT_THROW(environment.reset(2), std::invalid_argument);
  environment.recv(0);
  EXPECT_THROW(environment.send(0, five), std::invalid_argument);
  EXPECT_THROW(environment.send(0, two), std::invalid_argument);
  environment.send(0, keep);
  EXPECT_EQ(environment.recv(0).first[0], 0);
  const std::vector<std::uint64_t> seed = {1};
  EXPECT_THROW(environment.reset_with(0, seed, five), std::invalid_argument);
  EXPECT_THROW(VectorEnvironment(small(), {.num_envs = 3, .num_groups = 2}), std::invalid_argument);
  EXPECT_THROW(VectorEnvironment(small(), {.num_envs = 0}), std::invalid_argument);
}

TEST(VectorEnvironment, CloseEndsAWaitAndAllUse) {
  EnvironmentConfig config = small();
  config.episode = Duration::from_ms(60'000);
  config.action_delay = ConstantDelay{Duration::from_ms(59'000)};  // a step is an episode
  VectorEnvironment environment(config, {.num_envs = 64, .num_threads = 1});
  environment.reset(0);
  environment.recv(0);
  const std::vector<std::int32_t> keep(64, 0);
  environment.send(0, keep);
  std::thread closer([&] { environment.close(); });
  try {
    environment.recv(0);  // the round may be done before close() comes
  } catch (const std::runtime_error&) {
  }
  closer.join();
  environment.close();
  EXPECT_THROW(environment.reset(0), std::logic_error);
}

TEST(EpisodeSeed, DiffersByEverything) {
  EXPECT_NE(episode_seed(1, 0, 0), episode_seed(2, 0, 0));
  EXPECT_NE(episode_seed(1, 0, 0), episode_seed(1, 1, 0));
  EXPECT_NE(episode_seed(1, 0, 0), episode_seed(1, 0, 1));
  EXPECT_NE(episode_seed(1, 0, 1), episode_seed(1, 1, 0));
}

}  // namespace
}  // namespace mvfstrl
