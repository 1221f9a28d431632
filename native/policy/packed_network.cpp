#include "policy/packed_network.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mvfstrl {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line

struct Source {
  const Matrix* matrix;
  std::size_t columns;
};

// A layer before it is packed: `gates` outputs a unit (1, or an LSTM's 4), row `gate * units + unit` of every
// source; the sources' inputs one after the other.
struct Plan {
  std::vector<Source> sources;
  const std::vector<float>* bias;
  std::size_t units;
  std::size_t gates;
  std::size_t lanes;

  std::size_t inputs() const {
    std::size_t sum = 0;
    for (const Source& source : sources) sum += source.columns;
    return sum;
  }
  bool bfloat16() const {
    return std::ranges::all_of(
        sources, [](const Source& source) { return source.matrix->precision == Precision::kBfloat16; });
  }
  std::size_t vectors() const {
    const std::size_t of_units = (units + lanes - 1) / lanes;
    return gates > 1 ? of_units * gates : round_up(of_units, bfloat16() ? 2 : 1);
  }
  std::size_t bias_bytes() const { return round_up(vectors() * lanes * sizeof(float), kAlignment); }
  std::size_t weight_bytes() const {
    const std::size_t each = bfloat16() ? sizeof(std::uint16_t) : sizeof(float);
    return round_up(vectors() * lanes * inputs() * each, kAlignment);
  }

  // Calls visit(row, vector, lane) for every output; gates alternate from vector to vector.
  template <class Visit>
  void for_each_output(const Visit& visit) const {
    for (std::size_t gate = 0; gate < gates; ++gate) {
      for (std::size_t unit = 0; unit < units; ++unit) {
        visit(gate * units + unit, unit / lanes * gates + gate, unit % lanes);
      }
    }
  }
};

float as(float value, float*) { return value; }
std::uint16_t as(float value, std::uint16_t*) { return bfloat16_bits(value); }

// `group`: vectors that lie together lane by lane (two where they share words).
template <class Weight>
void pack_weights(const Plan& plan, Weight* weights, std::size_t group) {
  const std::size_t inputs = plan.inputs();
  plan.for_each_output([&](std::size_t row, std::size_t vector, std::size_t lane) {
    const std::size_t first = vector / kPanelVectors * kPanelVectors;
    const std::size_t step = std::min(kPanelVectors, plan.vectors() - first) * plan.lanes;
    const std::size_t v = vector - first;
    Weight* to = weights + first * plan.lanes * inputs;
    to += (v / group * plan.lanes + lane) * group + v % group;
    for (const Source& source : plan.sources) {
      const float* const from = source.matrix->values.data() + row * source.columns;
      for (std::size_t input = 0; input < source.columns; ++input, to += step) *to = as(from[input], to);
    }
  });
}

PackedLayer pack(const Plan& plan, std::byte* memory) {
  auto* const bias = reinterpret_cast<float*>(memory);
  std::byte* const weights = memory + plan.bias_bytes();
  plan.for_each_output([&](std::size_t row, std::size_t vector, std::size_t lane) {
    bias[vector * plan.lanes + lane] = (*plan.bias)[row];
  });
  if (plan.bfloat16()) {
    pack_weights(plan, reinterpret_cast<std::uint16_t*>(weights), 2);
  } else {
    pack_weights(plan, reinterpret_cast<float*>(weights), 1);
  }
  return {.weights = weights,
          .bias = bias,
          .inputs = plan.sources.front().columns,
          .recurrent = plan.inputs() - plan.sources.front().columns,
          .vectors = plan.vectors(),
          .bfloat16 = plan.bfloat16()};
}

std::vector<float> padded(std::vector<float> values, std::size_t lanes) {
  values.resize(round_up(values.size(), lanes), 0.0F);
  return values;
}

// Every layer in the order of a decision.
std::vector<Plan> plan_layers(const NetworkDescription& d, const NetworkWeights& weights, std::size_t lanes) {
  const auto size = [](std::int32_t value) { return static_cast<std::size_t>(value); };
  const std::size_t hidden = size(d.hidden_size);
  std::vector<Plan> plans;
  for (std::int32_t i = 0; i < d.layers; ++i) {
    const LinearWeights& layer = weights.torso[size(i)];
    plans.push_back({{{&layer.weight, size(d.torso_inputs(i))}}, &layer.bias, hidden, 1, lanes});
  }
  for (std::int32_t i = 0; i < d.lstm_layers; ++i) {
    const LstmWeights& layer = weights.lstm[size(i)];
    const std::vector<Source> sources = {{&layer.input, size(d.lstm_inputs(i))}, {&layer.recurrent, hidden}};
    plans.push_back({sources, &layer.bias, hidden, 4, lanes});
  }
  const LinearWeights& head = weights.head;
  plans.push_back({{{&head.weight, size(d.head_inputs())}}, &head.bias, size(d.num_actions), 1, lanes});
  return plans;
}

}  // namespace

// Zeros on cache lines. Where there are megabytes of them, in pages of megabytes if the system has such: a
// decision passes through all of it, and would look up a thousand small pages.
static std::byte* allocate(std::size_t size) {
  constexpr std::size_t kHugePage = 1 << 21;
  const std::size_t alignment = size < kHugePage ? kAlignment : kHugePage;
  void* const memory = std::aligned_alloc(alignment, round_up(size, alignment));
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (alignment == kHugePage) madvise(memory, round_up(size, alignment), MADV_HUGEPAGE);
#endif
  return static_cast<std::byte*>(std::memset(memory, 0, size));
}

void PackedNetwork::Free::operator()(std::byte* memory) const { std::free(memory); }

PackedNetwork::PackedNetwork(const NetworkDescription& description, const NetworkWeights& weights,
                             std::size_t lanes)
    : mean_(padded(weights.mean, lanes)), scale_(padded(weights.scale, lanes)) {
  const std::vector<Plan> plans = plan_layers(description, weights, lanes);
  for (const Plan& plan : plans) size_ += plan.bias_bytes() + plan.weight_bytes();
  memory_.reset(allocate(size_));  // zeros: what pads an output stays zero
  std::vector<PackedLayer> layers;
  std::byte* at = memory_.get();
  for (const Plan& plan : plans) {
    layers.push_back(pack(plan, at));
    at += plan.bias_bytes() + plan.weight_bytes();
  }
  head_ = layers.back();
  torso_.assign(layers.begin(), layers.begin() + description.layers);
  lstm_.assign(layers.begin() + description.layers, layers.end() - 1);
}

}  // namespace mvfstrl
