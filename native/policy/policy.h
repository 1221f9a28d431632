// A trained policy at work: observations in, actions out, the memory of each connection inside. A decision
// allocates nothing and takes no lock; any number of threads may share a PolicyModel, each with policies of
// its own.
//
//   const auto model = PolicyModel::load("policy.mvfstrl");
//   const auto policy = make_policy(model);
//   policy->reset();                                    // a connection starts
//   const std::int32_t action = policy->act(observation);   // one decision window after the other
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/kernel.h"
#include "policy/packed_network.h"
#include "policy/policy_file.h"

namespace mvfstrl {

// The policy of one connection, whoever computes it.
class Policy {
 public:
  virtual ~Policy() = default;

  // A new connection: what was remembered is forgotten.
  virtual void reset() = 0;

  // The scenario's index in training, for policies that are shown it; -1 (as at first): not known. Stays over
  // resets; nothing to a policy that is shown none. Throws std::invalid_argument for an index that training
  // did not have.
  virtual void set_job(std::int32_t job) = 0;

  // The likeliest action. Throws std::invalid_argument if `observation` has not the size that the spec says.
  // Values that are no numbers lead to logits that are none: a host that acts on the answer looks at them.
  virtual std::int32_t act(std::span<const float> observation) = 0;

  // Of the latest decision, one an action.
  virtual std::span<const float> logits() const = 0;
};

struct PolicyOptions {
  InstructionSet instructions = InstructionSet::kBest;
};

// What all connections share: weights, laid out for one instruction set. Never changes.
class PolicyModel {
 public:
  // Throws PolicyFileError, and std::invalid_argument for instructions that this processor lacks.
  static std::shared_ptr<const PolicyModel> load(const std::string& path, const PolicyOptions& options = {});

  // Of a file, or of what stands in memory: only the description's `network` matters to a decision. Throws
  // std::invalid_argument where the weights' sizes are not those of the network.
  PolicyModel(const PolicyFile& file, const PolicyOptions& options);

  const PolicyDescription& description() const { return description_; }
  InstructionSet instructions() const { return kernel_.instructions; }  // in use: never kBest
  Precision precision() const { return precision_; }                    // of the matrices but the head's
  const PackedNetwork& network() const { return network_; }
  const Kernel& kernel() const { return kernel_; }

 private:
  PolicyDescription description_;
  Precision precision_;
  const Kernel& kernel_;
  PackedNetwork network_;
};

// The policy of many connections that are asked together.
class BatchPolicy {
 public:
  BatchPolicy(std::shared_ptr<const PolicyModel> model, std::size_t connections);

  std::size_t size() const { return rows_; }
  const PolicyModel& model() const { return *model_; }

  // As Policy's, of one connection. connection < size().
  void reset(std::size_t connection);
  void set_job(std::size_t connection, std::int32_t job);

  // Other weights for a network of the same sizes; memories stay. Throws std::invalid_argument for another
  // network or other instructions.
  void set_model(std::shared_ptr<const PolicyModel> model);

  // `observations` row by row; for each row the action whose logit, or logit plus `noise` where there is any,
  // is largest. Throws std::invalid_argument for other sizes.
  void act(std::span<const float> observations, std::span<std::int32_t> actions,
           std::span<const float> noise = {});

  // Of the latest decisions, row by row.
  std::span<const float> logits() const { return logits_; }

  // What a memory layer holds after the latest decision: `hidden_size` values a connection, at the row's
  // start.
  Rows hidden(std::size_t layer) { return rows(hidden_[phase_][layer]); }
  Rows cell(std::size_t layer) { return rows(cell_[layer]); }

 private:
  Rows rows(std::vector<float>& values) const { return {values.data(), values.size() / rows_}; }

  std::shared_ptr<const PolicyModel> model_;
  std::size_t rows_;
  bool phase_ = false;  // which half of hidden_ is the latest
  std::vector<std::int32_t> jobs_;
  std::vector<float> input_, torso_[2], head_, logits_;
  std::vector<std::vector<float>> hidden_[2], cell_;  // a layer
};

std::unique_ptr<Policy> make_policy(std::shared_ptr<const PolicyModel> model);

}  // namespace mvfstrl
