// A decision allocates nothing: every allocation of this program is counted.
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/test_memory.h"
#include "policy/policy.h"
#include "policy/test_network.h"

namespace mvfstrl {
namespace {

TEST(PolicyAllocations, ThereAreNoneInADecision) {
  const NetworkDescription network = {.job_inputs = 2, .layers = 2, .hidden_size = 40, .lstm_layers = 2};
  for (const InstructionSet set : supported_instruction_sets()) {
    const auto model = std::make_shared<PolicyModel>(test::random_policy(network), PolicyOptions{set});
    const auto policy = make_policy(model);
    BatchPolicy batch(model, 7);
    const std::vector<float> observations = test::RandomNumbers(1).observation(7 * 211);
    const std::span<const float> one(observations.data(), 211);
    const std::vector<float> noise(7 * 5, 0.1F);
    std::vector<std::int32_t> actions(7);
    const std::int64_t before = CountedMemory::allocations();
    for (int step = 0; step < 10; ++step) {
      policy->set_job(step % 2);
      policy->act(one);
      batch.act(observations, actions, noise);
      if (step == 5) {
        policy->reset();
        batch.reset(3);
      }
    }
    EXPECT_EQ(CountedMemory::allocations(), before) << name_of(set);
  }
}

TEST(PolicyAllocations, AreCounted) {
  const std::int64_t before = CountedMemory::allocations();
  const std::vector<int> some(100);
  EXPECT_GT(CountedMemory::allocations(), before);
}

}  // namespace
}  // namespace mvfstrl
