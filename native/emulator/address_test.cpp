#include "emulator/address.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace mvfstrl {
namespace {

TEST(Address, ReadsHostsAndPorts) {
  EXPECT_EQ(Address::parse("127.0.0.1").text(), "127.0.0.1:0");
  EXPECT_EQ(Address::parse("127.0.0.1:4433").text(), "127.0.0.1:4433");
  EXPECT_EQ(Address::parse("[::1]:4433").text(), "[::1]:4433");
  EXPECT_EQ(Address::parse("::1").text(), "[::1]:0");
  EXPECT_EQ(Address::parse("[::1]").port(), 0);
}

TEST(Address, RefusesWhatIsNone) {
  for (const char* text :
       {"127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "[::1", "[::1]4433", "256.0.0.1"}) {
    EXPECT_THROW(Address::parse(text), std::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace mvfstrl
