#include "policy/network.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace mvfstrl {

Precision parse_precision(std::string_view name) {
  for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
    if (name == name_of(precision)) return precision;
  }
  throw std::invalid_argument("precision: must be fp32 or bf16, got '" + std::string(name) + "'");
}

const char* name_of(Precision precision) { return precision == Precision::kFloat32 ? "fp32" : "bf16"; }

float round_to_bfloat16(float value) {
  return std::bit_cast<float>(std::uint32_t{bfloat16_bits(value)} << 16);
}

std::uint16_t bfloat16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void NetworkWeights::set_precision(Precision precision) {
  const auto set = [precision](Matrix& matrix) {
    matrix.precision = precision;
    if (precision == Precision::kFloat32) return;
    for (float& value : matrix.values) value = round_to_bfloat16(value);
  };
  for (LinearWeights& layer : torso) set(layer.weight);
  for (LstmWeights& layer : lstm) {
    set(layer.input);
    set(layer.recurrent);
  }
}

Precision NetworkWeights::precision() const {
  const auto rounded = [](const Matrix& matrix) { return matrix.precision == Precision::kBfloat16; };
  const bool any =
      rounded(head.weight) ||
      std::ranges::any_of(torso, [&](const LinearWeights& layer) { return rounded(layer.weight); }) ||
      std::ranges::any_of(
          lstm, [&](const LstmWeights& layer) { return rounded(layer.input) || rounded(layer.recurrent); });
  return any ? Precision::kBfloat16 : Precision::kFloat32;
}

void check_sizes(const NetworkDescription& d) {
  constexpr std::int32_t kMost = 1 << 20;
  const auto check = [](const char* what, std::int32_t value, std::int32_t least, std::int32_t most) {
    if (value >= least && value <= most) return;
    throw std::invalid_argument("the network's " + std::string(what) + " must be between " +
                                std::to_string(least) + " and " + std::to_string(most) + ", got " +
                                std::to_string(value));
  };
  check("observation size", d.observation_size, 1, kMost);
  check("number of actions", d.num_actions, 1, kMost);
  check("number of job inputs", d.job_inputs, 0, kMost);
  check("number of hidden layers", d.layers, 0, 1000);
  check("number of memory layers", d.lstm_layers, 0, 1000);
  check("hidden size", d.hidden_size, 1, 1 << 16);
}

void check_network(const NetworkDescription& d, const NetworkWeights& weights) {
  check_sizes(d);
  const auto check = [](const std::string& what, std::size_t expected, std::size_t got) {
    if (expected == got) return;
    throw std::invalid_argument("the network's " + what + " must be " + std::to_string(expected) + ", got " +
                                std::to_string(got));
  };
  check("hidden layers", static_cast<std::size_t>(d.layers), weights.torso.size());
  check("memory layers", static_cast<std::size_t>(d.lstm_layers), weights.lstm.size());
  check("means", static_cast<std::size_t>(d.observation_size), weights.mean.size());
  check("scales", static_cast<std::size_t>(d.observation_size), weights.scale.size());
  visit_layers(
      d, weights,
      [&](const std::string& name, const Matrix& matrix, std::size_t size) {
        check(name, size, matrix.values.size());
      },
      [&](const std::string& name, const std::vector<float>& values, std::size_t size) {
        check(name, size, values.size());
      });
}

void check_job(const NetworkDescription& d, std::int32_t job) {
  if (job >= -1 && (d.job_inputs == 0 || job < d.job_inputs)) return;
  throw std::invalid_argument("job: must be -1 (not known) or the index of one of " +
                              std::to_string(d.job_inputs) + " scenarios, got " + std::to_string(job));
}

void check_count(const char* what, std::size_t expected, std::size_t got) {
  if (got == expected) return;
  throw std::invalid_argument(std::string(what) + ": the policy needs " + std::to_string(expected) +
                              " values, got " + std::to_string(got));
}

}  // namespace mvfstrl
