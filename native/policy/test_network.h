// Random policies for tests, and what they answer, computed the plain way in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "common/rng.h"
#include "policy/policy_file.h"

namespace mvfstrl::test {

inline std::size_t size_of(std::int32_t value) { return static_cast<std::size_t>(value); }

class RandomNumbers {
 public:
  explicit RandomNumbers(std::uint64_t seed) : rng_(seed) {}
  std::vector<float> normal(std::size_t count, double deviation) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(deviation * rng_.normal());
    return values;
  }
  // As observations are: mostly small, some large, some zero.
  std::vector<float> observation(std::size_t count) {
    std::vector<float> values = normal(count, 2.0);
    for (float& value : values) value = rng_.bernoulli(0.25) ? 0.0F : std::exp(2.0F * value);
    return values;
  }

 private:
  Rng rng_;
};

// A policy of these sizes; the observation's and the actions' are those of its configuration.
inline PolicyFile random_policy(NetworkDescription network, Precision precision = Precision::kFloat32,
                                const ObservationConfig& observation = {}, std::uint64_t seed = 1) {
  PolicyFile file;
  PolicyDescription& d = file.description;
  d.observation = observation;
  d.reward = "log_ratio";
  d.text = "{\"trained\": \"never\"}";
  d.spec = make_observation_spec(d.observation, d.actions, LogRatioReward{});
  network.observation_size = static_cast<std::int32_t>(d.spec.elements.size());
  network.num_actions = static_cast<std::int32_t>(d.spec.actions.size());
  d.network = network;

  RandomNumbers random(seed);
  const std::size_t hidden = size_of(network.hidden_size);
  const auto matrix = [&](std::size_t rows, std::int32_t columns) {
    Matrix result{precision, random.normal(rows * size_of(columns), 1.0 / std::sqrt(columns))};
    if (precision == Precision::kBfloat16) {
      std::transform(result.values.begin(), result.values.end(), result.values.begin(), round_to_bfloat16);
    }
    return result;
  };
  NetworkWeights& w = file.weights;
  w.mean = random.normal(size_of(network.observation_size), 1.0);
  w.scale = random.normal(size_of(network.observation_size), 0.3);
  for (float& scale : w.scale) scale = 0.5F + std::abs(scale);
  for (std::int32_t i = 0; i < network.layers; ++i) {
    w.torso.push_back({matrix(hidden, network.torso_inputs(i)), random.normal(hidden, 0.1)});
  }
  for (std::int32_t i = 0; i < network.lstm_layers; ++i) {
    w.lstm.push_back({matrix(4 * hidden, network.lstm_inputs(i)), matrix(4 * hidden, network.hidden_size),
                      random.normal(4 * hidden, 0.5)});
  }
  w.head = {matrix(size_of(network.num_actions), network.head_inputs()),
            random.normal(size_of(network.num_actions), 0.1)};
  return file;
}

// The network step by step as its formulas say.
class PlainNetwork {
 public:
  explicit PlainNetwork(const PolicyFile& file) : d_(file.description.network), w_(file.weights) { reset(); }

  void reset() {
    h_.assign(w_.lstm.size(), std::vector<double>(size_of(d_.hidden_size), 0.0));
    c_ = h_;
  }

  std::vector<double> logits(const std::vector<float>& observation, std::int32_t job = -1) {
    std::vector<double> x;
    for (std::size_t i = 0; i < observation.size(); ++i) {
      const double value = observation[i];
      const double compressed = std::copysign(std::log1p(std::abs(value)), value);
      x.push_back((compressed - double{w_.mean[i]}) * double{w_.scale[i]});
    }
    for (std::int32_t i = 0; i < d_.job_inputs; ++i) x.push_back(i == job ? 1.0 : 0.0);
    for (const LinearWeights& layer : w_.torso) {
      x = product(layer.weight, x, layer.bias);
      for (double& value : x) value = std::max(value, 0.0);
    }
    for (std::size_t layer = 0; layer < w_.lstm.size(); ++layer) x = remember(layer, x);
    return product(w_.head.weight, x, w_.head.bias);
  }

 private:
  static std::vector<double> product(const Matrix& matrix, const std::vector<double>& x,
                                     const std::vector<float>& bias) {
    std::vector<double> y(bias.begin(), bias.end());
    for (std::size_t row = 0; row < y.size(); ++row) {
      for (std::size_t i = 0; i < x.size(); ++i) y[row] += double{matrix.values[row * x.size() + i]} * x[i];
    }
    return y;
  }
  static double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

  std::vector<double> remember(std::size_t layer, const std::vector<double>& x) {
    const std::size_t units = size_of(d_.hidden_size);
    const std::vector<double> from_x = product(w_.lstm[layer].input, x, w_.lstm[layer].bias);
    const std::vector<double> from_h =
        product(w_.lstm[layer].recurrent, h_[layer], std::vector<float>(4 * units, 0.0F));
    for (std::size_t unit = 0; unit < units; ++unit) {
      const auto gate = [&](std::size_t g) { return from_x[g * units + unit] + from_h[g * units + unit]; };
      double& c = c_[layer][unit];
      c = sigmoid(gate(1)) * c + sigmoid(gate(0)) * std::tanh(gate(2));
      h_[layer][unit] = sigmoid(gate(3)) * std::tanh(c);
    }
    return h_[layer];
  }

  NetworkDescription d_;
  NetworkWeights w_;
  std::vector<std::vector<double>> h_, c_;
};

}  // namespace mvfstrl::test
