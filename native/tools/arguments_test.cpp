#include "tools/arguments.h"

#include <gtest/gtest.h>

namespace mvfstrl::tools {
namespace {

template <class... Words>
Arguments parsed(Words... words) {
  return parse(std::vector<const char*>{words...});
}

template <class... Words>
std::string refusal(Words... words) {
  try {
    parsed(words...);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Arguments, OfBenchAreTakenAsTheyAre) {
  const Arguments arguments =
      parsed("bench", "a.mvfstrl", "--batch", "32", "b.mvfstrl", "--batch", "256", "--seconds", "0.5",
             "--torchscript", "a.pt", "--aoti", "a.pt2", "--instructions", "portable");
  EXPECT_EQ(arguments.command, Command::kBench);
  EXPECT_EQ(arguments.files, (std::vector<std::string>{"a.mvfstrl", "b.mvfstrl"}));
  EXPECT_EQ(arguments.batches, (std::vector<std::size_t>{32, 256}));
  EXPECT_EQ(arguments.seconds, 0.5);
  EXPECT_EQ(arguments.torchscript, "a.pt");
  EXPECT_EQ(arguments.aot_inductor, "a.pt2");
  EXPECT_EQ(arguments.instructions, InstructionSet::kPortable);
}

TEST(Arguments, BenchAsksOneConnectionUnlessTold) {
  EXPECT_EQ(parsed("bench", "a.mvfstrl").batches, std::vector<std::size_t>{1});
}

TEST(Arguments, HelpIsGivenWhereverItIsAskedFor) {
  EXPECT_EQ(parsed("--help").command, Command::kHelp);
  EXPECT_EQ(parsed("run", "-h").command, Command::kHelp);
}

TEST(Arguments, NonsenseIsNamed) {
  EXPECT_EQ(refusal(), "no command: there are info, bench, run and --help");
  EXPECT_EQ(refusal("inof", "a"), "no command 'inof': there are info, bench, run and --help");
  EXPECT_EQ(refusal("info"), "no FILE: name a policy.mvfstrl");
  EXPECT_EQ(refusal("info", "a", "b"), "'b': one FILE is enough");
  EXPECT_EQ(refusal("info", "a", "--batch", "3"), "no option --batch of info; --help tells those there are");
  EXPECT_EQ(refusal("bench", "a", "--batch"), "--batch: needs a value");
  EXPECT_EQ(refusal("bench", "a", "--batch", "0"), "--batch: must be a number of at least 1, got '0'");
  EXPECT_EQ(refusal("bench", "a", "--batch", "3x"), "--batch: must be a number of at least 1, got '3x'");
  EXPECT_EQ(refusal("run", "a", "--job", "-2"), "--job: must be a number of at least -1, got '-2'");
  EXPECT_NE(refusal("run", "a", "--instructions", "mmx").find("--instructions: "), std::string::npos);
  EXPECT_EQ(refusal("run", "a", "--torchscript", "b", "--aoti", "c"),
            "--aoti: run has one answer; leave out --torchscript or --aoti");
}

}  // namespace
}  // namespace mvfstrl::tools
