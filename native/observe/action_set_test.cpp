#include "observe/action_set.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mvfstrl {
namespace {

constexpr std::int64_t kPacket = 1252;

ActionSet actions_of(std::vector<std::string> list) {
  ActionConfig config;
  config.list = std::move(list);
  return ActionSet(config, ByteCount(kPacket));
}

std::string refusal(const ActionConfig& config) {
  try {
    ActionSet set(config, ByteCount(kPacket));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::string refusal(std::vector<std::string> list) {
  ActionConfig config;
  config.list = std::move(list);
  return refusal(config);
}

ByteCount packets(std::int64_t count) { return ByteCount(count * kPacket); }

TEST(ActionSet, TheDefaultsKeepHalveSubtractAddAndDouble) {
  const ActionSet set(ActionConfig{}, ByteCount(kPacket));
  ASSERT_EQ(set.size(), 5U);
  EXPECT_EQ(set.initial_window(), packets(10));
  EXPECT_EQ(set.apply(0, packets(40)), packets(40));
  EXPECT_EQ(set.apply(1, packets(40)), packets(20));
  EXPECT_EQ(set.apply(2, packets(40)), packets(30));
  EXPECT_EQ(set.apply(3, packets(40)), packets(50));
  EXPECT_EQ(set.apply(4, packets(40)), packets(80));
  EXPECT_EQ(set.names(), (std::vector<std::string>{"0", "/2", "-10", "+10", "*2"}));
}

TEST(ActionSet, FactorsMayBeFractionsAndAreRoundedToAByte) {
  const ActionSet set = actions_of({"0", "*1.1", "/1.5", " *0.5 "});
  EXPECT_EQ(set.apply(1, ByteCount(100'001)), ByteCount(110'001));
  EXPECT_EQ(set.apply(2, ByteCount(100'000)), ByteCount(66'667));
  EXPECT_EQ(set.apply(3, packets(40)), packets(20));
  EXPECT_EQ(set.names()[3], "*0.5");
}

TEST(ActionSet, EveryResultStaysWithinTheBounds) {
  ActionConfig config;
  config.list = {"0", "/2", "-10", "+10", "*1000", "+1000000"};
  config.min_window_packets = 4;
  config.max_window_packets = 100;
  const ActionSet set(config, ByteCount(kPacket));
  EXPECT_EQ(set.apply(1, packets(5)), packets(4));
  EXPECT_EQ(set.apply(2, packets(5)), packets(4));
  EXPECT_EQ(set.apply(3, packets(95)), packets(100));
  EXPECT_EQ(set.apply(4, packets(95)), packets(100));
  EXPECT_EQ(set.apply(5, packets(95)), packets(100));
  EXPECT_EQ(set.apply(0, packets(200)), packets(100));
  EXPECT_EQ(set.apply(0, packets(1)), packets(4));
}

TEST(ActionSet, TheFirstActionMustKeepTheWindow) {
  EXPECT_EQ(refusal({"/2", "0"}), "actions.list[0]: '/2' must be '0': the first action keeps the window");
  EXPECT_NE(refusal(std::vector<std::string>{}).find("must start with '0'"), std::string::npos);
}

TEST(ActionSet, ABadEntryIsNamedWithItsPosition) {
  for (const char* entry : {"+", "+x", "+1.5", "-0", "+-3", "- 3", "+9999999999", "-10p"}) {
    const std::string message = refusal({"0", "/2", entry});
    EXPECT_EQ(message.find("actions.list[2]: '" + std::string(entry) + "' needs a whole number"), 0U)
        << message;
  }
  for (const char* entry : {"*", "*0", "*-1", "/0", "*nan", "/inf", "*1e9", "*2x", "* 2"}) {
    const std::string message = refusal({"0", entry});
    EXPECT_EQ(message.find("actions.list[1]: '" + std::string(entry) + "' needs a factor"), 0U) << message;
  }
  EXPECT_NE(refusal({"0", "10"}).find("actions.list[1]: '10' must begin with one of + - * /"),
            std::string::npos);
  EXPECT_NE(refusal({"0", "10"}).find("quotes"), std::string::npos);
  EXPECT_EQ(refusal({"0", " "}), "actions.list[1]: '' is empty");
  EXPECT_EQ(refusal({"0", "*2", "*2"}), "actions.list[2]: '*2' is listed twice");
  EXPECT_EQ(refusal({"0", "*2", "0"}), "actions.list[2]: '0' is listed twice");
}

TEST(ActionSet, BadBoundsAreNamed) {
  ActionConfig config;
  config.min_window_packets = 0;
  EXPECT_EQ(refusal(config), "actions.min_window_packets must be between 1 and 2000 packets, got 0");
  config = ActionConfig{};
  config.max_window_packets = 1;
  EXPECT_EQ(refusal(config), "actions.min_window_packets must be between 1 and 1 packets, got 2");
  config.max_window_packets = 0;
  EXPECT_EQ(refusal(config), "actions.max_window_packets must be between 1 and 1000000 packets, got 0");
  config = ActionConfig{};
  config.initial_window_packets = 1;
  EXPECT_EQ(refusal(config), "actions.initial_window_packets must be between 2 and 2000 packets, got 1");
  EXPECT_EQ(refusal(ActionConfig{}), "accepted");
}

}  // namespace
}  // namespace mvfstrl
