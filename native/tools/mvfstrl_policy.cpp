#include <cstdio>
#include <exception>

#include "tools/commands.h"

int main(int argc, char** argv) {
  using namespace mvfstrl::tools;
  try {
    const Arguments arguments = parse({argv + 1, argv + argc});
    switch (arguments.command) {
      case Command::kHelp:
        std::fputs(kHelp, stdout);
        break;
      case Command::kInfo:
        info(arguments, stdout);
        break;
      case Command::kBench:
        bench(arguments, stdout);
        break;
      case Command::kRun:
        run(arguments, stdin, stdout);
        break;
    }
  } catch (const UsageError& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
