#include "policy/policy.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>

#include "policy/single_policy.h"

namespace mvfstrl {
namespace {

const PolicyDescription& checked(const PolicyFile& file) {
  check_network(file.description.network, file.weights);
  return file.description;
}

}  // namespace

std::shared_ptr<const PolicyModel> PolicyModel::load(const std::string& path, const PolicyOptions& options) {
  return std::make_shared<PolicyModel>(read_policy_file(path), options);
}

PolicyModel::PolicyModel(const PolicyFile& file, const PolicyOptions& options)
    : description_(file.description),
      precision_(file.weights.precision()),
      kernel_(kernel_for(options.instructions)),
      network_(checked(file).network, file.weights, kernel_.lanes) {}

BatchPolicy::BatchPolicy(std::shared_ptr<const PolicyModel> model, std::size_t connections)
    : model_(std::move(model)), rows_(connections), jobs_(connections, -1) {
  if (connections == 0) throw std::invalid_argument("a batch needs at least one connection");
  const NetworkDescription& network = model_->description().network;
  const std::size_t panel = kPanelVectors * model_->kernel().lanes;
  const auto room = [&](std::int32_t width) {
    return std::vector<float>(rows_ * round_up(static_cast<std::size_t>(width), panel));
  };
  input_ = room(network.input_size());
  for (auto& values : torso_) values = room(network.layers > 0 ? network.hidden_size : 0);
  head_ = room(network.num_actions);
  logits_.resize(rows_ * static_cast<std::size_t>(network.num_actions));
  for (std::int32_t layer = 0; layer < network.lstm_layers; ++layer) {
    for (auto& hidden : hidden_) hidden.push_back(room(network.hidden_size));
    cell_.push_back(room(network.hidden_size));
  }
}

void BatchPolicy::reset(std::size_t connection) {
  assert(connection < rows_);
  for (std::size_t layer = 0; layer < cell_.size(); ++layer) {
    for (const Rows part : {hidden(layer), cell(layer)}) {
      std::fill_n(part.data + connection * part.stride, part.stride, 0.0F);
    }
  }
}

void BatchPolicy::set_job(std::size_t connection, std::int32_t job) {
  assert(connection < rows_);
  check_job(model_->description().network, job);
  jobs_[connection] = job;
}

void BatchPolicy::set_model(std::shared_ptr<const PolicyModel> model) {
  if (model->description().network != model_->description().network ||
      model->instructions() != model_->instructions()) {
    throw std::invalid_argument("a policy's weights can be replaced only by those of the same network");
  }
  model_ = std::move(model);
}

void BatchPolicy::act(std::span<const float> observations, std::span<std::int32_t> actions,
                      std::span<const float> noise) {
  const NetworkDescription& description = model_->description().network;
  const PackedNetwork& network = model_->network();
  const Kernel& kernel = model_->kernel();
  const auto width = static_cast<std::size_t>(description.observation_size);
  const auto choices = static_cast<std::size_t>(description.num_actions);
  check_count("observations", rows_ * width, observations.size());
  check_count("actions", rows_, actions.size());
  if (!noise.empty()) check_count("noise", logits_.size(), noise.size());

  Rows x = rows(input_);
  for (std::size_t row = 0; row < rows_; ++row) {
    float* const input = x.data + row * x.stride;
    std::copy_n(observations.data() + row * width, width, input);
    kernel.normalise(input, network.mean().data(), network.scale().data(), network.mean().size());
    for (std::int32_t job = 0; job < description.job_inputs; ++job) {
      input[width + static_cast<std::size_t>(job)] = job == jobs_[row] ? 1.0F : 0.0F;
    }
  }
  for (std::size_t layer = 0; layer < network.torso().size(); ++layer) {
    const Rows out = rows(torso_[layer % 2]);
    kernel.linear(network.torso()[layer], rows_, x, out, true);
    x = out;
  }
  for (std::size_t layer = 0; layer < network.lstm().size(); ++layer) {
    const Rows out = rows(hidden_[!phase_][layer]);
    kernel.lstm(network.lstm()[layer], rows_, x, hidden(layer), cell(layer), out);
    x = out;
  }
  phase_ = !phase_;
  const Rows head = rows(head_);
  kernel.linear(network.head(), rows_, x, head, false);
  for (std::size_t row = 0; row < rows_; ++row) {
    float* const scores = head.data + row * head.stride;
    std::copy_n(scores, choices, logits_.data() + row * choices);
    for (std::size_t i = 0; i < choices && !noise.empty(); ++i) scores[i] += noise[row * choices + i];
    actions[row] = static_cast<std::int32_t>(std::max_element(scores, scores + choices) - scores);
  }
}

std::unique_ptr<Policy> make_policy(std::shared_ptr<const PolicyModel> model) {
  return std::make_unique<SinglePolicy<BatchPolicy>>(BatchPolicy(std::move(model), 1));
}

}  // namespace mvfstrl
