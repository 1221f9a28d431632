#include "policy/policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "policy/test_network.h"

namespace mvfstrl {
namespace {

using test::PlainNetwork;
using test::random_policy;
using test::RandomNumbers;

constexpr double kTolerance = 1e-5;  // of a logit, relative to the largest of its decision

struct Case {
  std::string name;
  NetworkDescription network;
  Precision precision = Precision::kFloat32;
  int history = 20;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"mlp", {.layers = 2, .hidden_size = 128}},
      {"lstm", {.layers = 2, .hidden_size = 128, .lstm_layers = 1}},
      {"odd_sizes", {.layers = 1, .hidden_size = 37, .lstm_layers = 1}, Precision::kFloat32, 3},
      {"one_unit", {.layers = 1, .hidden_size = 1, .lstm_layers = 1}},
      {"three_layers_three_memories", {.layers = 3, .hidden_size = 50, .lstm_layers = 3}},
      {"memory_alone", {.layers = 0, .hidden_size = 33, .lstm_layers = 1}},
      {"head_alone", {.layers = 0, .hidden_size = 1}},
      {"jobs", {.job_inputs = 18, .layers = 2, .hidden_size = 64, .lstm_layers = 1}},
      {"jobs_without_layers", {.job_inputs = 3, .layers = 0, .hidden_size = 20, .lstm_layers = 1}},
      {"bfloat16", {.layers = 2, .hidden_size = 72, .lstm_layers = 2}, Precision::kBfloat16},
      {"bfloat16_odd", {.layers = 2, .hidden_size = 19, .lstm_layers = 1}, Precision::kBfloat16},
  };
  return kCases;
}

using Parameters = std::tuple<std::size_t, InstructionSet>;

std::string name_of_case(const testing::TestParamInfo<Parameters>& info) {
  return cases()[std::get<0>(info.param)].name + "_" + std::string(name_of(std::get<1>(info.param)));
}

class EachNetwork : public testing::TestWithParam<Parameters> {
 protected:
  const Case& kind = cases()[std::get<0>(GetParam())];
  const PolicyFile file = random_policy(kind.network, kind.precision, {.history = kind.history});
  const std::size_t width = file.weights.mean.size();
  const std::size_t choices = file.weights.head.bias.size();

  std::shared_ptr<const PolicyModel> model() const {
    return std::make_shared<PolicyModel>(file, PolicyOptions{.instructions = std::get<1>(GetParam())});
  }
  static void expect_near(std::span<const float> found, const std::vector<double>& expected) {
    double largest = 0;
    for (const double logit : expected) largest = std::max(largest, std::abs(logit));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(double{found[i]}, expected[i], kTolerance * largest) << "logit " << i;
    }
  }
};

TEST_P(EachNetwork, AnswersAsItsFormulasSay) {
  const auto policy = make_policy(model());
  PlainNetwork plain(file);
  RandomNumbers random(7);
  for (int step = 0; step < 60; ++step) {
    if (step == 40) {
      policy->reset();
      plain.reset();
    }
    const std::int32_t job = step % 3 == 0 ? -1 : file.description.network.job_inputs / 2 - 1;
    policy->set_job(job);
    const std::vector<float> observation = random.observation(width);
    const std::int32_t action = policy->act(observation);
    const std::vector<double> expected = plain.logits(observation, job);
    expect_near(policy->logits(), expected);
    ASSERT_EQ(policy->logits()[static_cast<std::size_t>(action)],
              *std::ranges::max_element(policy->logits()));
  }
}

TEST_P(EachNetwork, AnswersManyConnectionsAsItAnswersEach) {
  constexpr std::size_t kConnections = 11;  // tiles of rows and some left over
  BatchPolicy batch(model(), kConnections);
  std::vector<PlainNetwork> plain(kConnections, PlainNetwork(file));
  RandomNumbers random(8);
  std::vector<std::int32_t> actions(kConnections);
  for (int step = 0; step < 12; ++step) {
    if (step == 9) {
      batch.reset(4);
      plain[4].reset();
      batch.set_job(5, file.description.network.job_inputs - 1);
    }
    const std::vector<float> observations = random.observation(kConnections * width);
    batch.act(observations, actions);
    for (std::size_t row = 0; row < kConnections; ++row) {
      const auto from = observations.begin() + static_cast<std::ptrdiff_t>(row * width);
      const std::int32_t job = step >= 9 && row == 5 ? file.description.network.job_inputs - 1 : -1;
      const std::vector<double> expected =
          plain[row].logits({from, from + static_cast<std::ptrdiff_t>(width)}, job);
      const auto logits = batch.logits().subspan(row * choices, choices);
      expect_near(logits, expected);
      ASSERT_EQ(actions[row], std::ranges::max_element(logits) - logits.begin());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, EachNetwork,
                         testing::Combine(testing::Range<std::size_t>(0, 11),
                                          testing::ValuesIn(supported_instruction_sets())),
                         name_of_case);

TEST(Policy, RemembersUntilItIsReset) {
  const auto model = std::make_shared<PolicyModel>(
      random_policy({.layers = 1, .hidden_size = 16, .lstm_layers = 2}), PolicyOptions{});
  const auto policy = make_policy(model);
  RandomNumbers random(3);
  const std::vector<float> first = random.observation(211), second = random.observation(211);
  const auto answer = [&](const std::vector<float>& observation) {
    policy->act(observation);
    return std::vector<float>(policy->logits().begin(), policy->logits().end());
  };
  const std::vector<float> fresh = answer(first);
  answer(second);
  EXPECT_NE(answer(first), fresh);
  policy->reset();
  EXPECT_EQ(answer(first), fresh);
}

TEST(Policy, KeepsItsMemoryWhenWeightsAreReplaced) {
  const NetworkDescription network = {.layers = 1, .hidden_size = 16, .lstm_layers = 2};
  const auto model_of = [&](const NetworkDescription& sizes, std::uint64_t seed) {
    return std::make_shared<PolicyModel>(random_policy(sizes, Precision::kFloat32, {}, seed),
                                         PolicyOptions{});
  };
  BatchPolicy replaced(model_of(network, 1), 2), fresh(model_of(network, 2), 2);
  RandomNumbers random(3);
  std::vector<std::int32_t> actions(2);
  replaced.act(random.observation(422), actions);
  replaced.set_model(model_of(network, 2));
  const std::vector<float> observations = random.observation(422);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    EXPECT_NE(replaced.hidden(layer).data[3], 0.0F);
    for (std::size_t row = 0; row < 2; ++row) {
      for (const auto& part : {&BatchPolicy::hidden, &BatchPolicy::cell}) {
        const Rows from = (replaced.*part)(layer), to = (fresh.*part)(layer);
        std::copy_n(from.data + row * from.stride, 16, to.data + row * to.stride);
      }
    }
  }
  replaced.act(observations, actions);
  fresh.act(observations, actions);
  EXPECT_TRUE(std::ranges::equal(replaced.logits(), fresh.logits()));
  EXPECT_THROW(fresh.set_model(model_of({.layers = 1, .hidden_size = 16, .lstm_layers = 1}, 1)),
               std::invalid_argument);
}

TEST(Policy, AddsNoiseToWhatItChoosesFromOnly) {
  BatchPolicy policy(
      std::make_shared<PolicyModel>(random_policy({.layers = 1, .hidden_size = 16}), PolicyOptions{}), 1);
  RandomNumbers random(3);
  const std::vector<float> observation = random.observation(211);
  std::vector<std::int32_t> action(1);
  policy.act(observation, action);
  const std::vector<float> logits(policy.logits().begin(), policy.logits().end());
  for (std::int32_t wanted = 0; wanted < 5; ++wanted) {
    std::vector<float> noise(5, 0.0F);
    noise[static_cast<std::size_t>(wanted)] = 100.0F;
    policy.act(observation, action, noise);
    EXPECT_EQ(action[0], wanted);
    EXPECT_TRUE(std::ranges::equal(policy.logits(), logits));
  }
  EXPECT_THROW(policy.act(observation, action, std::vector<float>(4)), std::invalid_argument);
}

TEST(Policy, RefusesWrongSizesAndJobs) {
  const auto model = std::make_shared<PolicyModel>(
      random_policy({.job_inputs = 3, .layers = 1, .hidden_size = 8}), PolicyOptions{});
  const auto policy = make_policy(model);
  EXPECT_THROW(policy->act(std::vector<float>(210)), std::invalid_argument);
  EXPECT_THROW(policy->set_job(3), std::invalid_argument);
  EXPECT_THROW(policy->set_job(-2), std::invalid_argument);
  policy->set_job(2);
  BatchPolicy batch(model, 2);
  std::vector<std::int32_t> actions(1);
  EXPECT_THROW(batch.act(std::vector<float>(422), actions), std::invalid_argument);
  EXPECT_THROW(BatchPolicy(model, 0), std::invalid_argument);
}

TEST(Policy, ShowsWhatIsNoNumber) {
  for (const InstructionSet set : supported_instruction_sets()) {
    for (const float odd :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const auto model = std::make_shared<PolicyModel>(
          random_policy({.layers = 1, .hidden_size = 16, .lstm_layers = 1}), PolicyOptions{set});
      const auto policy = make_policy(model);
      std::vector<float> observation(211, 0.5F);
      observation[17] = odd;
      const std::int32_t action = policy->act(observation);
      EXPECT_GE(action, 0);
      EXPECT_LT(action, 5);
      for (const float logit : policy->logits()) EXPECT_FALSE(std::isfinite(logit)) << name_of(set);
    }
  }
}

TEST(Kernel, IsChosenByTheProcessor) {
  const std::vector<InstructionSet> supported = supported_instruction_sets();
  EXPECT_EQ(supported.front(), InstructionSet::kPortable);
  EXPECT_EQ(kernel_for(InstructionSet::kBest).instructions, supported.back());
  for (const InstructionSet set :
       {InstructionSet::kPortable, InstructionSet::kAvx2, InstructionSet::kAvx512}) {
    EXPECT_EQ(parse_instruction_set(name_of(set)), set);
    if (std::ranges::find(supported, set) != supported.end()) {
      EXPECT_EQ(kernel_for(set).instructions, set);
    } else {
      EXPECT_THROW(kernel_for(set), std::invalid_argument);
    }
  }
  EXPECT_EQ(parse_instruction_set("auto"), InstructionSet::kBest);
  EXPECT_THROW(parse_instruction_set("avx"), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
