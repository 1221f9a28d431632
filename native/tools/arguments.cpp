#include "tools/arguments.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string_view>

#include "tools/option_value.h"

namespace mvfstrl::tools {

const char* const kHelp = R"(mvfstrl-policy: looks at, times and runs a policy that mode=trace exported

  mvfstrl-policy info FILE [--elements] [--json]
      Tells the observation, the actions, the network, its training and the file's checksum.
      --elements      lists each element of an observation too
      --json          prints the description that the file holds (that of policy.json), and nothing else

  mvfstrl-policy bench FILE... [--torchscript FILE] [--aoti FILE] [--batch N]... [--instructions SET]
                               [--seconds S] [--json NAME]
      Times decisions on one thread, in its CPU time: the median, the 99th percentile, the mean and how many a
      second. Several files, and what libtorch makes of the first one's network, are timed in turns.
      --batch N       connections that are asked together; may be given several times (default: 1)
      --seconds S     CPU time for each row of the table (default: 1)
      --json NAME     prints a JSON object a figure: decision_us_p50_NAME_RUNNER and so on

  mvfstrl-policy run FILE [--torchscript FILE | --aoti FILE] [--instructions SET] [--job N] <IN >OUT
      Decides for one connection. Both sides are raw 32-bit floats, little-endian, without any header. A row of
      the input is a flag and an observation: not 0 where a connection begins, whose memory is empty. A row of the
      output is the logits; the action is the index of the largest.
      --job N         the scenario's index in training, for policies that are shown it (default: -1, not known)

  FILE is a policy.mvfstrl. --torchscript takes the policy.pt beside it, --aoti the policy.pt2; both need a
  mvfstrl-policy that was built with libtorch. SET is auto (the fastest that this processor has; the default),
  portable, avx2 or avx512.

  Exit status: 0; 1 for a file that cannot be read, is damaged or fits no other that was named; 2 for a command line
  that makes no sense. The last line on standard error says what was wrong.
)";

namespace {

InstructionSet instruction_set(std::string_view text) {
  try {
    return parse_instruction_set(text);
  } catch (const std::invalid_argument& error) {
    throw UsageError(std::string("--instructions: ") + error.what());
  }
}

Command command_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Command>, 6> kCommands{{{"info", Command::kInfo},
                                                                           {"bench", Command::kBench},
                                                                           {"run", Command::kRun},
                                                                           {"help", Command::kHelp},
                                                                           {"--help", Command::kHelp},
                                                                           {"-h", Command::kHelp}}};
  for (const auto& [known, command] : kCommands) {
    if (name == known) return command;
  }
  throw UsageError("no command '" + std::string(name) + "': there are info, bench, run and --help");
}

// Options of one command: those that take a value, and those that do not.
struct Options {
  std::map<std::string_view, std::function<void(std::string_view)>> with_value;
  std::map<std::string_view, bool*> flags;
};

Options options_of(Command command, Arguments& to) {
  Options options;
  auto& with_value = options.with_value;
  if (command == Command::kInfo) {
    options.flags = {{"--elements", &to.elements}, {"--json", &to.json}};
    return options;
  }
  with_value["--torchscript"] = [&to](std::string_view text) { to.torchscript = text; };
  with_value["--aoti"] = [&to](std::string_view text) { to.aot_inductor = text; };
  with_value["--instructions"] = [&to](std::string_view text) { to.instructions = instruction_set(text); };
  if (command == Command::kRun) {
    with_value["--job"] = [&to](std::string_view text) { to.job = number<int>("--job", text, -1); };
  } else {
    with_value["--batch"] = [&to, given = false](std::string_view text) mutable {
      if (!given) to.batches.clear();
      given = true;
      to.batches.push_back(number<std::size_t>("--batch", text, 1));
    };
    with_value["--seconds"] = [&to](std::string_view text) {
      to.seconds = number<double>("--seconds", text, 0.01);
    };
    with_value["--json"] = [&to](std::string_view text) { to.name = text; };
  }
  return options;
}

void check_files(const Arguments& parsed) {
  if (parsed.files.empty()) throw UsageError("no FILE: name a policy.mvfstrl");
  if (parsed.files.size() > 1 && parsed.command != Command::kBench) {
    throw UsageError("'" + parsed.files[1] + "': one FILE is enough");
  }
  if (parsed.command == Command::kRun && !parsed.torchscript.empty() && !parsed.aot_inductor.empty()) {
    throw UsageError("--aoti: run has one answer; leave out --torchscript or --aoti");
  }
}

}  // namespace

Arguments parse(std::span<const char* const> arguments) {
  Arguments parsed;
  if (arguments.empty()) throw UsageError("no command: there are info, bench, run and --help");
  parsed.command = command_of(arguments[0]);
  const auto asks_for_help = [](std::string_view text) { return text == "--help" || text == "-h"; };
  if (std::ranges::any_of(arguments, asks_for_help)) parsed.command = Command::kHelp;
  if (parsed.command == Command::kHelp) return parsed;
  const Options options = options_of(parsed.command, parsed);
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (!argument.starts_with("-")) {
      parsed.files.emplace_back(argument);
    } else if (const auto flag = options.flags.find(argument); flag != options.flags.end()) {
      *flag->second = true;
    } else if (const auto option = options.with_value.find(argument); option != options.with_value.end()) {
      if (++i == arguments.size()) throw UsageError(std::string(argument) + ": needs a value");
      option->second(arguments[i]);
    } else {
      throw UsageError("no option " + std::string(argument) + " of " + arguments[0] +
                       "; --help tells those there are");
    }
  }
  check_files(parsed);
  return parsed;
}

}  // namespace mvfstrl::tools
