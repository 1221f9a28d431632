#include "policy/kernel.h"

#include <array>
#include <stdexcept>
#include <string>

#include "policy/kernel_sets.h"

namespace mvfstrl {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"auto", "portable", "avx2", "avx512"};

#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() { return __builtin_cpu_supports("avx512f"); }
#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
#endif

std::string listed(const std::vector<InstructionSet>& sets) {
  std::string text;
  for (const InstructionSet set : sets) text += (text.empty() ? "" : ", ") + std::string(name_of(set));
  return text;
}

}  // namespace

std::vector<InstructionSet> supported_instruction_sets() {
  std::vector<InstructionSet> sets = {InstructionSet::kPortable};
  if (kAvx2Kernel != nullptr && has_avx2()) sets.push_back(InstructionSet::kAvx2);
  if (kAvx512Kernel != nullptr && has_avx512()) sets.push_back(InstructionSet::kAvx512);
  return sets;
}

const Kernel& kernel_for(InstructionSet instructions) {
  const std::vector<InstructionSet> supported = supported_instruction_sets();
  if (instructions == InstructionSet::kBest) instructions = supported.back();
  for (const InstructionSet set : supported) {
    if (set != instructions) continue;
    if (set == InstructionSet::kAvx512) return *kAvx512Kernel;
    return set == InstructionSet::kAvx2 ? *kAvx2Kernel : kPortableKernel;
  }
  throw std::invalid_argument("instructions: this processor lacks " + std::string(name_of(instructions)) +
                              "; it has " + listed(supported));
}

InstructionSet parse_instruction_set(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<InstructionSet>(i);
  }
  throw std::invalid_argument("instructions: must be auto, portable, avx2 or avx512, got '" +
                              std::string(name) + "'");
}

std::string_view name_of(InstructionSet instructions) {
  return kNames[static_cast<std::size_t>(instructions)];
}

}  // namespace mvfstrl
