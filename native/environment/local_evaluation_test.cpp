#include "environment/local_evaluation.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <set>
#include <string>

#include "environment/vector_environment.h"
#include "policy/test_network.h"

namespace mvfstrl {
namespace {

using Model = std::shared_ptr<const PolicyModel>;

constexpr NetworkDescription kMlp{.job_inputs = 0, .layers = 2, .hidden_size = 32, .lstm_layers = 0};
constexpr NetworkDescription kLstm{.job_inputs = 0, .layers = 1, .hidden_size = 32, .lstm_layers = 1};

// 12 Mbps, 20 ms one way, 100 packets of buffer.
EnvironmentConfig base(int agents = 1) {
  EnvironmentConfig config;
  config.flows.resize(static_cast<std::size_t>(agents));
  config.episode = Duration::from_ms(6'000);
  return config;
}

Model model_of(const PolicyFile& file) { return std::make_shared<PolicyModel>(file, PolicyOptions{}); }
Model random_model(const NetworkDescription& network) { return model_of(test::random_policy(network)); }
// Prefers one action, whatever it sees.
Model always(std::size_t action) {
  PolicyFile file = test::random_policy(kMlp);
  file.weights.head.bias[action] = 1e6F;
  return model_of(file);
}
constexpr std::size_t kKeep = 0, kHalve = 1, kDouble = 4;  // of the default actions

std::vector<EpisodeReport> evaluate(const EnvironmentConfig& config, const Model& model,
                                    const std::vector<LocalEpisode>& episodes, const LocalOptions& options) {
  LocalEvaluation evaluation(config, model, episodes, options);
  while (!evaluation.wait_for(std::chrono::seconds(1))) {
  }
  EXPECT_EQ(evaluation.progress().episodes, static_cast<std::int64_t>(episodes.size()));
  return evaluation.reports();
}

GuardReport guarded(const EnvironmentConfig& config, const Model& model, const GuardConfig& guard = {}) {
  const auto reports = evaluate(config, model, {{.seed = 7}}, {.guard = guard});
  return reports.at(0).flows.at(0).guard.value();
}

std::int64_t fallbacks(const GuardReport& report, GuardReason reason) {
  return report.counters.fallbacks[static_cast<std::size_t>(reason)];
}

std::int64_t all_fallbacks(const GuardReport& report) {
  const auto& counts = report.counters.fallbacks;
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

// The same episodes through VectorEnvironment, a policy a row.
std::vector<EpisodeReport> through_vector(const EnvironmentConfig& config, const Model& model,
                                          const std::vector<std::uint64_t>& seeds) {
  VectorEnvironment environment(config,
                                {.num_envs = static_cast<std::int32_t>(seeds.size()), .record_series = true});
  const auto rows = static_cast<std::size_t>(environment.group_size());
  std::vector<std::unique_ptr<Policy>> policies;
  for (std::size_t row = 0; row < rows; ++row) policies.push_back(make_policy(model));
  std::vector<std::int32_t> actions(rows);
  environment.reset_with(0, seeds, std::vector<std::int32_t>(seeds.size(), 0));
  std::vector<EpisodeReport> reports;
  while (reports.size() < seeds.size()) {
    const StepArrays& step = environment.recv(0);
    for (std::size_t row = 0; row < rows; ++row) {
      if (step.first[row] != 0) policies[row]->reset();
      const std::size_t size = environment.observation_size();
      actions[row] = policies[row]->act(std::span(step.observation).subspan(row * size, size));
    }
    for (EpisodeReport& report : environment.drain_episodes()) reports.push_back(std::move(report));
    environment.send(0, actions);
  }
  return reports;
}

void expect_same(const EpisodeReport& a, const EpisodeReport& b) {
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.episode_return, b.episode_return);
  ASSERT_EQ(a.flows.size(), b.flows.size());
  for (std::size_t i = 0; i < a.flows.size(); ++i) {
    EXPECT_EQ(a.flows[i].sent_packets, b.flows[i].sent_packets);
    EXPECT_EQ(a.flows[i].delay_p95_ms, b.flows[i].delay_p95_ms);
  }
  ASSERT_EQ(a.series.size(), b.series.size());
  for (std::size_t i = 0; i < a.series.size(); ++i) {
    EXPECT_EQ(a.series[i].action, b.series[i].action) << i;
    EXPECT_EQ(a.series[i].window_packets, b.series[i].window_packets) << i;
  }
}

std::size_t actions_of(const EpisodeReport& report) {
  std::set<std::int64_t> actions;
  for (const SeriesPoint& point : report.series) actions.insert(point.action);
  return actions.size();
}

// A random policy that does not always do the same.
Model lively_model(const NetworkDescription& network, const ActionConfig& actions) {
  for (unsigned seed = 1;; ++seed) {
    PolicyFile file = test::random_policy(network, Precision::kFloat32, {}, seed);
    file.description.actions = actions;
    file.description.spec = make_observation_spec({}, actions, LogRatioReward{});
    EnvironmentConfig config = base();
    config.actions = actions;
    const Model model = model_of(file);
    const auto reports = evaluate(config, model, {{.seed = 3}}, {.record_series = true});
    if (actions_of(reports.at(0)) >= 4) return model;
  }
}

class SameAsStepped : public testing::TestWithParam<std::tuple<NetworkDescription, int, bool, bool>> {};

TEST_P(SameAsStepped, EpisodeForEpisode) {
  const auto& [network, agents, guarded, paced] = GetParam();
  EnvironmentConfig config = base(agents);
  config.actions.pacing = paced;
  for (std::size_t i = 1; i < config.flows.size(); ++i) config.flows[i].start = Duration::from_ms(1'250);
  config.action_delay = UniformDelay{};
  const Model model = lively_model(network, config.actions);
  const std::vector<std::uint64_t> seeds = {3, 4, 5};
  const auto stepped = through_vector(config, model, seeds);
  const auto local = evaluate(config, model, {{.seed = 3}, {.seed = 4}, {.seed = 5}},
                              {.num_threads = 2, .record_series = true, .guard = {.enabled = guarded}});
  ASSERT_EQ(local.size(), stepped.size());
  for (std::size_t i = 0; i < local.size(); ++i) {
    expect_same(local[i], stepped[i]);
    for (const FlowReport& flow : local[i].flows) {
      ASSERT_EQ(flow.guard.has_value(), guarded);
      if (!guarded) continue;
      EXPECT_EQ(all_fallbacks(*flow.guard), 0);
      EXPECT_EQ(flow.guard->fallback_share, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(LocalEvaluation, SameAsStepped,
                         testing::Combine(testing::Values(kMlp, kLstm), testing::Values(1, 2),
                                          testing::Bool(), testing::Bool()));

TEST(LocalEvaluation, AFallbackThatIsBuiltOnPacingLeavesThePolicyAlone) {
  const Model model = random_model(kLstm);
  GuardConfig bbr;
  bbr.fallback = BbrConfig{};
  const auto with_bbr = evaluate(base(), model, {{.seed = 3}}, {.record_series = true, .guard = bbr});
  const auto with_cubic = evaluate(base(), model, {{.seed = 3}}, {.record_series = true});
  expect_same(with_bbr.at(0), with_cubic.at(0));
}

TEST(LocalEvaluation, ReportsDoNotDependOnThreads) {
  EnvironmentConfig config = base();
  config.scenarios.push_back(config.scenarios[0]);
  config.scenarios[1].name = "slow";
  config.scenarios[1].uplink = ConstantRateScenario{Range::constant(3)};
  const Model model = random_model(kLstm);
  std::vector<LocalEpisode> episodes;
  for (std::uint64_t seed = 0; seed < 7; ++seed) {
    episodes.push_back({.seed = seed, .scenario = static_cast<std::int32_t>(seed % 2)});
  }
  const auto one = evaluate(config, model, episodes, {.num_threads = 1, .record_series = true});
  const auto many = evaluate(config, model, episodes, {.num_threads = 5, .record_series = true});
  for (std::size_t i = 0; i < episodes.size(); ++i) {
    expect_same(one[i], many[i]);
    EXPECT_EQ(one[i].episode, static_cast<std::int64_t>(i));
    EXPECT_EQ(one[i].scenario, i % 2 == 0 ? "default" : "slow");
  }
}

TEST(LocalEvaluation, AMemoryDoesNotOutliveItsEpisode) {
  const Model model = random_model(kLstm);
  const auto twice = evaluate(base(), model, {{.seed = 3}, {.seed = 3}}, {.record_series = true});
  expect_same(twice[0], twice[1]);
}

TEST(LocalEvaluation, ShowsTheScenariosNumberInTraining) {
  NetworkDescription network = kMlp;
  network.job_inputs = 2;
  bool shown = false;
  for (unsigned seed = 1; seed <= 50 && !shown; ++seed) {  // not every random policy minds
    const Model model = model_of(test::random_policy(network, Precision::kFloat32, {}, seed));
    const auto played = [&](std::vector<std::int32_t> jobs) {
      return evaluate(base(), model, {{.seed = 3}}, {.jobs = std::move(jobs)}).at(0).episode_return;
    };
    EXPECT_EQ(played({-1}), played({}));
    EXPECT_THROW(played({2}), std::invalid_argument);
    shown = played({0}) != played({1}) && played({0}) != played({-1});
  }
  EXPECT_TRUE(shown);
}

TEST(LocalEvaluation, ABoundBelowTheActionDelayLeavesTheFallbackAlone) {
  GuardConfig tight;
  tight.max_latency = Duration::from_ms(1);
  const GuardReport report = guarded(base(), random_model(kMlp), tight);
  EXPECT_EQ(fallbacks(report, GuardReason::kLate), 1);
  EXPECT_EQ(report.counters.returns, 0);
  ASSERT_EQ(report.events.size(), 1U);
  EXPECT_EQ(report.events[0].now, TimePoint::from_ms(101)) << "when the guard's patience ends";
  EXPECT_NEAR(report.fallback_share, 5.899 / 6.0, 1e-6);
  EXPECT_EQ(report.counters.shadowed, report.counters.decisions - 1);
}

TEST(LocalEvaluation, CubicTakesOverFromAPolicyThatGivesNoNumbers) {
  PolicyFile file = test::random_policy(kLstm);
  file.weights.head.bias[2] = std::numeric_limits<float>::quiet_NaN();
  const auto reports = evaluate(base(), model_of(file), {{.seed = 7}}, {.record_series = true});
  const FlowReport& flow = reports.at(0).flows.at(0);
  EXPECT_EQ(fallbacks(flow.guard.value(), GuardReason::kNonFinite), 1);
  EXPECT_GT(flow.utilisation, 0.9) << "CUBIC fills a 12 Mbps link";
  EXPECT_EQ(reports[0].series.back().action, -1) << "none of the policy's takes effect";
  const auto kept = evaluate(base(), always(kKeep), {{.seed = 7}}, {});
  EXPECT_LT(kept.at(0).flows.at(0).utilisation, 0.6) << "ten packets do not";
}

TEST(LocalEvaluation, AFixedWindowAsFallbackIsWhatItSays) {
  GuardConfig guard;
  guard.max_latency = Duration::from_ms(1);
  guard.fallback = FixedConfig{.window_packets = 33};
  const auto reports =
      evaluate(base(), random_model(kMlp), {{.seed = 7}}, {.record_series = true, .guard = guard});
  EXPECT_EQ(reports.at(0).series.back().window_packets, 33);
}

TEST(LocalEvaluation, APolicyThatStaysAtABoundFallsBack) {
  GuardConfig guard;
  guard.pinned_windows = 20;
  const GuardReport top = guarded(base(), always(kDouble), guard);
  EXPECT_GE(fallbacks(top, GuardReason::kPinnedAtMaximum), 1);
  // Doubling from 10 packets asks for 2000 with the eighth decision, and with the twentieth in a row.
  EXPECT_EQ(top.events.at(0).now, TimePoint::from_ms(100 * (8 + 19) + 5));
  const GuardReport bottom = guarded(base(), always(kHalve), guard);
  EXPECT_EQ(fallbacks(bottom, GuardReason::kPinnedAtMinimum), 1);
  EXPECT_EQ(all_fallbacks(guarded(base(), always(kKeep), guard)), 0);
}

TEST(LocalEvaluation, APolicyThatIsLateNowAndThenComesBack) {
  EnvironmentConfig config = base();
  config.episode = Duration::from_ms(30'000);
  EmpiricalDelay delays{.samples = std::vector<Duration>(50, Duration::from_ms(5))};
  delays.samples.push_back(Duration::from_ms(400));
  config.action_delay = delays;
  GuardConfig guard;
  guard.return_after = 5;
  const GuardReport report = guarded(config, random_model(kMlp), guard);
  EXPECT_GE(fallbacks(report, GuardReason::kLate), 2);
  EXPECT_GE(report.counters.returns, 2);
  EXPECT_GT(report.fallback_share, 0);
  EXPECT_LT(report.fallback_share, 0.9);
  EXPECT_EQ(static_cast<std::int64_t>(report.events.size()), all_fallbacks(report) + report.counters.returns);
}

TEST(LocalEvaluation, EveryAgentHasAGuardOfItsOwn) {
  EnvironmentConfig config = base(3);
  config.flows[1].controller = CubicConfig{};
  config.flows[2].start = Duration::from_ms(1'000);
  config.flows[2].stop = Duration::from_ms(3'000);
  GuardConfig tight;
  tight.max_latency = Duration::from_ms(1);
  const auto reports = evaluate(config, random_model(kMlp), {{.seed = 7}}, {.guard = tight});
  const auto& flows = reports.at(0).flows;
  EXPECT_EQ(all_fallbacks(flows[0].guard.value()), 1);
  EXPECT_FALSE(flows[1].guard.has_value());
  EXPECT_EQ(all_fallbacks(flows[2].guard.value()), 1);
  EXPECT_NEAR(flows[2].guard->fallback_share, 1.899 / 2.0, 1e-6) << "of its own two seconds";
}

TEST(LocalEvaluation, AnyControllerServesAsFallback) {
  for (const char* name : kControllerNames) {
    if (std::string(name) == "external") continue;
    SCOPED_TRACE(name);
    GuardConfig guard;
    guard.max_latency = Duration::from_ms(1);
    for (std::size_t i = 0; i < kControllerNames.size(); ++i) {
      if (kControllerNames[i] != std::string(name)) continue;
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((I == i ? void(guard.fallback.emplace<I>()) : void()), ...);
      }(std::make_index_sequence<std::variant_size_v<ControllerConfig>>{});
    }
    const auto reports = evaluate(base(), random_model(kMlp), {{.seed = 7}}, {.guard = guard});
    EXPECT_GT(reports.at(0).flows.at(0).utilisation, 0.05);
  }
}

TEST(LocalEvaluation, RefusesAPolicyOfAnotherSpec) {
  EnvironmentConfig config = base();
  config.observation.history = 3;
  try {
    LocalEvaluation(config, random_model(kMlp), {{.seed = 7}}, {});
    FAIL() << "accepted";
  } catch (const PolicyFileError& error) {
    EXPECT_NE(std::string(error.what()).find("past"), std::string::npos) << error.what();
  }
  config = base();
  config.reward = LinearReward{};
  EXPECT_NO_THROW(LocalEvaluation(config, random_model(kMlp), {}, {}))
      << "rewards are the trainer's business";
}

TEST(LocalEvaluation, NamesBadOptions) {
  const auto refusal = [](const std::vector<LocalEpisode>& episodes, const LocalOptions& options) {
    try {
      LocalEvaluation(base(), always(kKeep), episodes, options);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal({}, {.num_threads = 0}), "num_threads: must be at least 1, got 0");
  EXPECT_EQ(refusal({{.seed = 1, .scenario = 1}}, {}), "scenarios: must be 0 to 0, got 1");
  EXPECT_EQ(refusal({}, {.jobs = {0, 1}}), "jobs: need one for each of the 1 scenarios, got 2");
  EXPECT_EQ(refusal({}, {}), "accepted");
}

TEST(LocalEvaluation, CanBeLeftBeforeItIsDone) {
  EnvironmentConfig config = base();
  config.episode = Duration::from_ms(3'000'000);
  LocalEvaluation evaluation(config, random_model(kMlp), std::vector<LocalEpisode>(50), {.num_threads = 2});
  EXPECT_FALSE(evaluation.wait_for(std::chrono::milliseconds(1)));
}

}  // namespace
}  // namespace mvfstrl
