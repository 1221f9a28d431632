#include "emulator/path_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace mvfstrl {
namespace {

std::string read(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

Offered wire(double mbps) {
  return {{.rate = ConstantRate{Bandwidth::from_mbps(mbps)}}, Direction::Order::kLinkLossDelay, Rng(1)};
}

TEST(PathLog, WritesWhatMahimahiWrites) {
  const auto file = std::filesystem::path(testing::TempDir()) / "path_log_test.log";
  PathLog log(file.string(), "uplink of test", wire(8));  // 1000 bytes a millisecond
  log.begin(1'700'000'000'123);
  const auto at = [](double ms) { return TimePoint::zero() + Duration::from_ms_f(ms); };
  log.write({.at = at(1.9), .entered = at(1.9), .size_bytes = 1280});
  log.write(
      {.at = at(2.1), .entered = at(2.1), .packets = 2, .size_bytes = 2560, .kind = LinkEvent::Kind::kDrop});
  log.write({.at = at(3.2), .entered = at(1.9), .size_bytes = 1280, .kind = LinkEvent::Kind::kDeparture});
  log.finish(at(5.5));
  EXPECT_EQ(read(file),
            "# mvfst-rl emulator (uplink of test)\n"
            "# init timestamp: 1700000000123\n"
            "# base timestamp: 0\n"
            "0 # 999\n"  // up to the millisecond's last nanosecond
            "1 # 1000\n"
            "1 + 1280\n"
            "2 # 1000\n"
            "2 d 2 2560\n"
            "3 # 1000\n"
            "3 - 1280 2\n"
            "4 # 1000\n");
  std::filesystem::remove(file);
}

TEST(PathLog, SaysThatTheDiskIsFull) {
  PathLog log("/dev/full", "uplink", wire(8));
  log.begin(0);
  try {
    log.finish(TimePoint::from_ms(3));
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("cannot write /dev/full"), std::string::npos) << error.what();
  }
}

TEST(PathLog, RefusesAFileThatCannotBe) {
  try {
    PathLog("no/such/folder/log", "uplink", wire(8));
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("no/such/folder/log"), std::string::npos);
  }
}

}  // namespace
}  // namespace mvfstrl
