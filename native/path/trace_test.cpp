#include "path/trace.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

namespace mvfstrl {
namespace {

std::string refusal(const std::string& text) {
  try {
    Trace::parse(text, "file");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Trace, ReadsOneTimestampALine) {
  const auto trace = Trace::parse("0\n3\n3\n10\n", "file");
  EXPECT_EQ(trace->timestamps_ms(), (std::vector<std::uint32_t>{0, 3, 3, 10}));
  EXPECT_EQ(trace->period_ms(), 10u);
  EXPECT_EQ(Trace::parse("1\n2", "file")->period_ms(), 2u) << "the last line needs no end";
}

TEST(Trace, RefusesWithLineAndReason) {
  EXPECT_EQ(refusal(""), "file: empty, no opportunity in it");
  EXPECT_EQ(refusal("0\n0\n"), "file:2: the last timestamp is 0: zero length");
  EXPECT_EQ(refusal("1\n7\n6\n"), "file:3: 6 follows 7: timestamps must not decrease");
  EXPECT_EQ(refusal("1\n\n6\n"), "file:2: blank line");
  EXPECT_EQ(refusal("1\n6\n\n"), "file:3: blank line");
  EXPECT_EQ(refusal("1\n-6\n"), "file:2: \"-6\" is not an unsigned number of milliseconds");
  EXPECT_EQ(refusal("1\n6.5\n"), "file:2: \"6.5\" is not an unsigned number of milliseconds");
  EXPECT_EQ(refusal("1\r\n"), "file:1: \"1\r\" is not an unsigned number of milliseconds");
  EXPECT_EQ(refusal("1\n4294967296\n"), "file:2: \"4294967296\" is too large");
}

TEST(Trace, MissingFileIsNamed) {
  try {
    Trace::load("/no/such/file");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "/no/such/file: cannot be opened");
  }
  EXPECT_THROW(Trace::load("/"), std::invalid_argument) << "a folder";
}

TEST(Trace, LoadsFromAFile) {
  const std::string path = testing::TempDir() + "mvfstrl_trace_test";
  std::ofstream(path) << "4\n8\n";
  EXPECT_EQ(Trace::load(path)->timestamps_ms(), (std::vector<std::uint32_t>{4, 8}));
  EXPECT_EQ(Trace::load(path)->name(), path);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace mvfstrl
