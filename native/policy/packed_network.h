// A network's weights in the order in which a kernel reads them: from the first byte to the last, once a
// decision.
//
// A layer's outputs are cut into panels of up to four vectors. A panel holds, input by input, the weights of
// its outputs; the kernel keeps a panel's sums in registers and streams through it. A panel of an LSTM layer
// holds the four gates of one vector of units, so that a unit's gates are at hand together, and its inputs
// are those of the layer, then those from its own memory. bfloat16 weights of two vectors share 32-bit words:
// the even vector's in the lower half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "policy/network.h"

namespace mvfstrl {

inline constexpr std::size_t kPanelVectors = 4;

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

struct PackedLayer {
  const void* weights = nullptr;
  const float* bias = nullptr;  // of all vectors
  std::size_t inputs = 0;
  std::size_t recurrent = 0;  // inputs from its own memory
  std::size_t vectors = 0;    // of outputs, gates included
  bool bfloat16 = false;
};

class PackedNetwork {
 public:
  PackedNetwork(const NetworkDescription& description, const NetworkWeights& weights, std::size_t lanes);

  const std::vector<float>& mean() const { return mean_; }  // padded to whole vectors
  const std::vector<float>& scale() const { return scale_; }
  const std::vector<PackedLayer>& torso() const { return torso_; }
  const std::vector<PackedLayer>& lstm() const { return lstm_; }
  const PackedLayer& head() const { return head_; }
  std::size_t weight_bytes() const { return size_; }  // what a decision reads

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };

  std::vector<float> mean_, scale_;
  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t size_ = 0;
  std::vector<PackedLayer> torso_, lstm_;
  PackedLayer head_;
};

}  // namespace mvfstrl
