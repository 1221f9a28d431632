// What a policy's network is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mvfstrl {

enum class Precision : std::uint8_t { kFloat32, kBfloat16 };

// "fp32", "bf16". Throws std::invalid_argument for another.
Precision parse_precision(std::string_view name);
const char* name_of(Precision precision);

// The nearest bfloat16 (ties to even), as a float; and its upper 16 bits.
float round_to_bfloat16(float value);
std::uint16_t bfloat16_bits(float value);

// symlog and normalisation, `layers` fully connected layers with ReLU, `lstm_layers` layers of memory, a
// linear head: the logits of the actions.
struct NetworkDescription {
  std::int32_t observation_size = 0;
  std::int32_t num_actions = 0;
  std::int32_t job_inputs = 0;  // scenarios whose one-hot the network is shown; 0: none
  std::int32_t layers = 0;
  std::int32_t hidden_size = 0;  // of every hidden layer and of the memory
  std::int32_t lstm_layers = 0;

  std::int32_t input_size() const { return observation_size + job_inputs; }
  // Inputs of hidden layer `layer`, of memory layer `layer`, and of the head.
  std::int32_t torso_inputs(std::int32_t layer) const { return layer == 0 ? input_size() : hidden_size; }
  std::int32_t lstm_inputs(std::int32_t layer) const {
    return layer + layers == 0 ? input_size() : hidden_size;
  }
  std::int32_t head_inputs() const { return layers + lstm_layers == 0 ? input_size() : hidden_size; }

  bool operator==(const NetworkDescription&) const = default;
};

// Row by row, a row an output. bfloat16 values are held as the floats that they stand for.
struct Matrix {
  Precision precision = Precision::kFloat32;
  std::vector<float> values;
};

struct LinearWeights {
  Matrix weight;  // [outputs][inputs]
  std::vector<float> bias;
};

// Rows are gates in torch's order: input, forget, cell, output, each `hidden_size` of them.
struct LstmWeights {
  Matrix input;      // [4 hidden][inputs]
  Matrix recurrent;  // [4 hidden][hidden]
  std::vector<float> bias;
};

struct NetworkWeights {
  std::vector<float> mean, scale;  // x = (symlog(observation) - mean) * scale
  std::vector<LinearWeights> torso;
  std::vector<LstmWeights> lstm;
  LinearWeights head;

  // Rounds every matrix but the head's, which is small and decides, to bfloat16; or leaves all as they are.
  void set_precision(Precision precision);
  // bfloat16 where any matrix is.
  Precision precision() const;
};

// Throws std::invalid_argument, naming what is wrong, unless the sizes are sound; and the weights have them.
void check_sizes(const NetworkDescription& description);
void check_network(const NetworkDescription& description, const NetworkWeights& weights);

// What a decision is given. Throw std::invalid_argument for a `job` that is neither -1 (not known) nor the
// index of one of the network's scenarios, if it is shown any; and, naming `what`, for another number of
// values.
void check_job(const NetworkDescription& description, std::int32_t job);
void check_count(const char* what, std::size_t expected, std::size_t got);

// Visits every matrix and vector of values of the layers in the order in which a decision meets them:
// on_matrix or on_vector(name, what holds it, its size). The lists of layers must have their lengths.
template <class Weights, class OnMatrix, class OnVector>
void visit_layers(const NetworkDescription& d, Weights& weights, const OnMatrix& on_matrix,
                  const OnVector& on_vector) {
  const auto size = [](std::int32_t value) { return static_cast<std::size_t>(value); };
  const std::size_t hidden = size(d.hidden_size), actions = size(d.num_actions);
  for (std::int32_t i = 0; i < d.layers; ++i) {
    auto& layer = weights.torso[size(i)];
    const std::string name = "hidden layer " + std::to_string(i + 1);
    on_matrix("weights of " + name, layer.weight, hidden * size(d.torso_inputs(i)));
    on_vector("bias of " + name, layer.bias, hidden);
  }
  for (std::int32_t i = 0; i < d.lstm_layers; ++i) {
    auto& layer = weights.lstm[size(i)];
    const std::string name = "memory layer " + std::to_string(i + 1);
    on_matrix("input weights of " + name, layer.input, 4 * hidden * size(d.lstm_inputs(i)));
    on_matrix("recurrent weights of " + name, layer.recurrent, 4 * hidden * hidden);
    on_vector("bias of " + name, layer.bias, 4 * hidden);
  }
  on_matrix(std::string("weights of the head"), weights.head.weight, actions * size(d.head_inputs()));
  on_vector(std::string("bias of the head"), weights.head.bias, actions);
}

}  // namespace mvfstrl
