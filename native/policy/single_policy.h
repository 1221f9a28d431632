// The policy of one connection, by what decides for many: BatchPolicy, or any with its methods.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "policy/policy.h"

namespace mvfstrl {

template <class Batch>
class SinglePolicy final : public Policy {
 public:
  explicit SinglePolicy(Batch batch_of_one) : batch_(std::move(batch_of_one)) {}

  void reset() override { batch_.reset(0); }
  void set_job(std::int32_t job) override { batch_.set_job(0, job); }
  std::int32_t act(std::span<const float> observation) override {
    std::array<std::int32_t, 1> action{};
    batch_.act(observation, action);
    return action[0];
  }
  std::span<const float> logits() const override { return batch_.logits(); }

 private:
  Batch batch_;
};

}  // namespace mvfstrl
