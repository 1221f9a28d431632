// The command line of mvfstrl-policy.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "policy/kernel.h"
#include "tools/option_value.h"

namespace mvfstrl::tools {

enum class Command { kHelp, kInfo, kBench, kRun };

struct Arguments {
  Command command = Command::kHelp;
  std::vector<std::string> files;  // policy.mvfstrl; several for bench
  std::string torchscript;         // --torchscript: policy.pt
  std::string aot_inductor;        // --aoti: policy.pt2
  InstructionSet instructions = InstructionSet::kBest;
  int job = -1;
  // info
  bool elements = false;
  bool json = false;
  // bench
  std::vector<std::size_t> batches{1};
  double seconds = 1;
  std::string name;  // --json NAME: figures are told as JSON, under this name
};

// `arguments` without the program's name. Throws UsageError.
Arguments parse(std::span<const char* const> arguments);

extern const char* const kHelp;

}  // namespace mvfstrl::tools
