#include "policy/packed_network.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace mvfstrl {
namespace {

// Weights begin on cache lines, and a kernel may prefetch a little past their end.
constexpr std::size_t kAlignment = 64;

std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Where the outputs of one layer come from: row `gate * units + unit` of each source, side by side.
struct Plan {
  std::vector<const Matrix*> sources;
  std::vector<std::size_t> columns;  // of each source
  const std::vector<float>* bias;
  std::size_t units;
  std::size_t gates;
  std::size_t lanes;

  std::size_t inputs() const {
    std::size_t sum = 0;
    for (const std::size_t count : columns) sum += count;
    return sum;
  }
  bool bfloat16() const {
    return std::all_of(sources.begin(), sources.end(),
                       [](const Matrix* matrix) { return matrix->precision == Precision::kBfloat16; });
  }
  std::size_t vectors() const {
    const std::size_t of_units = (units + lanes - 1) / lanes;
    return gates > 1 ? of_units * gates : round_up(of_units, bfloat16() ? 2 : 1);
  }
  std::size_t weight_bytes() const {
    return vectors() * lanes * inputs() * (bfloat16() ? sizeof(std::uint16_t) : sizeof(float));
  }
  std::size_t bytes() const {
    return round_up(vectors() * lanes * sizeof(float), kAlignment) + round_up(weight_bytes(), kAlignment);
  }

  // The row behind a vector's lane, or none: padding. Gates alternate from vector to vector.
  bool row(std::size_t vector, std::size_t lane, std::size_t& row) const {
    const std::size_t unit = vector / gates * lanes + lane;
    row = vector % gates * units + unit;
    return unit < units;
  }
  // Weights of one input (of all sources') for one vector of outputs.
  void column(std::size_t vector, std::size_t input, std::vector<float>& out) const {
    std::size_t source = 0;
    while (input >= columns[source]) input -= columns[source++];
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      std::size_t from = 0;
      out[lane] = row(vector, lane, from) ? sources[source]->values[from * columns[source] + input] : 0.0F;
    }
  }
};

template <class T>
std::byte* append(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof(T));
  return at + sizeof(T);
}

std::byte* write_bias(const Plan& plan, std::byte* at) {
  for (std::size_t vector = 0; vector < plan.vectors(); ++vector) {
    for (std::size_t lane = 0; lane < plan.lanes; ++lane) {
      std::size_t from = 0;
      at = append(at, plan.row(vector, lane, from) ? (*plan.bias)[from] : 0.0F);
    }
  }
  return at;
}

std::byte* write_input(const Plan& plan, std::size_t first, std::size_t count, std::size_t input,
                       std::byte* at) {
  std::vector<float> even(plan.lanes), odd(plan.lanes);
  const bool pairs = plan.bfloat16();
  for (std::size_t vector = first; vector < first + count; vector += pairs ? 2 : 1) {
    plan.column(vector, input, even);
    if (pairs) plan.column(vector + 1, input, odd);
    for (std::size_t lane = 0; lane < plan.lanes; ++lane) {
      at = pairs ? append(at, std::uint32_t{bfloat16_bits(even[lane])} |
                                  std::uint32_t{bfloat16_bits(odd[lane])} << 16)
                 : append(at, even[lane]);
    }
  }
  return at;
}

PackedLayer pack(const Plan& plan, std::byte* at) {
  PackedLayer layer{.weights = at + round_up(plan.vectors() * plan.lanes * sizeof(float), kAlignment),
                    .bias = reinterpret_cast<const float*>(at),
                    .inputs = plan.columns.front(),
                    .recurrent = plan.inputs() - plan.columns.front(),
                    .vectors = plan.vectors(),
                    .bfloat16 = plan.bfloat16()};
  write_bias(plan, at);
  at += round_up(plan.vectors() * plan.lanes * sizeof(float), kAlignment);
  for (std::size_t first = 0; first < plan.vectors(); first += kPanelVectors) {
    const std::size_t count = std::min(kPanelVectors, plan.vectors() - first);
    for (std::size_t input = 0; input < plan.inputs(); ++input) {
      at = write_input(plan, first, count, input, at);
    }
  }
  return layer;
}

std::vector<float> padded(std::vector<float> values, std::size_t lanes) {
  values.resize(round_up(values.size(), lanes), 0.0F);
  return values;
}

// Every layer in the order of a decision.
std::vector<Plan> plan_layers(const NetworkDescription& d, const NetworkWeights& weights, std::size_t lanes) {
  const auto size = [](std::int32_t value) { return static_cast<std::size_t>(value); };
  std::vector<Plan> plans;
  for (std::int32_t i = 0; i < d.layers; ++i) {
    const LinearWeights& layer = weights.torso[size(i)];
    plans.push_back({{&layer.weight}, {size(d.torso_inputs(i))}, &layer.bias, size(d.hidden_size), 1, lanes});
  }
  for (std::int32_t i = 0; i < d.lstm_layers; ++i) {
    const LstmWeights& layer = weights.lstm[size(i)];
    plans.push_back({{&layer.input, &layer.recurrent},
                     {size(d.lstm_inputs(i)), size(d.hidden_size)},
                     &layer.bias,
                     size(d.hidden_size),
                     4,
                     lanes});
  }
  plans.push_back(
      {{&weights.head.weight}, {size(d.head_inputs())}, &weights.head.bias, size(d.num_actions), 1, lanes});
  return plans;
}

}  // namespace

void PackedNetwork::Free::operator()(std::byte* memory) const { std::free(memory); }

PackedNetwork::PackedNetwork(const NetworkDescription& description, const NetworkWeights& weights,
                             std::size_t lanes)
    : mean_(padded(weights.mean, lanes)), scale_(padded(weights.scale, lanes)) {
  const std::vector<Plan> plans = plan_layers(description, weights, lanes);
  for (const Plan& plan : plans) size_ += plan.bytes();
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, size_)));
  if (memory_ == nullptr) throw std::bad_alloc();
  std::vector<PackedLayer> layers;
  std::byte* at = memory_.get();
  for (const Plan& plan : plans) {
    layers.push_back(pack(plan, at));
    at += plan.bytes();
  }
  head_ = layers.back();
  torso_.assign(layers.begin(), layers.begin() + description.layers);
  lstm_.assign(layers.begin() + description.layers, layers.end() - 1);
}

}  // namespace mvfstrl
