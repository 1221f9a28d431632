// The arithmetic of a decision, compiled once for each instruction set from the same code (kernel_code.h) and
// chosen when a policy is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "policy/packed_network.h"

namespace mvfstrl {

enum class InstructionSet : std::uint8_t { kBest, kPortable, kAvx2, kAvx512 };

// Rows of floats, `stride` apart. There is room for whole vectors behind each.
struct Rows {
  float* data = nullptr;
  std::size_t stride = 0;
};

struct Kernel {
  InstructionSet instructions;
  std::size_t lanes;  // floats in a vector

  // In place: (symlog(x) - mean) * scale of `size` values, a multiple of `lanes`.
  void (*normalise)(float* x, const float* mean, const float* scale, std::size_t size);
  // out = weights x + bias, then ReLU if asked.
  void (*linear)(const PackedLayer& layer, std::size_t rows, Rows x, Rows out, bool relu);
  // One step of an LSTM layer: `cell` is brought forward, the new hidden state goes to `out`, which is not
  // `h`.
  void (*lstm)(const PackedLayer& layer, std::size_t rows, Rows x, Rows h, Rows cell, Rows out);
};

// The fastest that this processor has, or the one asked for; throws std::invalid_argument if it lacks it.
const Kernel& kernel_for(InstructionSet instructions);

// Those that this processor has, the fastest last.
std::vector<InstructionSet> supported_instruction_sets();

// "auto", "portable", "avx2", "avx512". Throws std::invalid_argument for another.
InstructionSet parse_instruction_set(std::string_view name);
std::string_view name_of(InstructionSet instructions);

}  // namespace mvfstrl
