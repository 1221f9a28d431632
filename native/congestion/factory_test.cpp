#include "congestion/factory.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "congestion/mirrored.h"
#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

TEST(Factory, MakesEveryKindUnderItsName) {
  const WindowLimits limits;
  EXPECT_STREQ(controller_name(ExternalConfig{}), "external");
  EXPECT_STREQ(controller_name(NewRenoConfig{}), "newreno");
  EXPECT_STREQ(controller_name(CubicConfig{}), "cubic");
  EXPECT_STREQ(controller_name(FixedConfig{}), "fixed");
  EXPECT_STREQ(controller_name(CopaConfig{}), "copa");
  EXPECT_STREQ(controller_name(VegasConfig{}), "vegas");
  EXPECT_STREQ(controller_name(LedbatConfig{}), "ledbat");
  EXPECT_STREQ(controller_name(SproutConfig{}), "sprout");
  EXPECT_STREQ(controller_name(BbrConfig{}), "bbr");
  EXPECT_STREQ(controller_name(Bbr3Config{}), "bbr3");
  EXPECT_STREQ(controller_name(VivaceConfig{}), "vivace");
  EXPECT_NE(dynamic_cast<ExternalController*>(make_controller(ExternalConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<NewReno*>(make_controller(NewRenoConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Cubic*>(make_controller(CubicConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<FixedController*>(make_controller(FixedConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Copa*>(make_controller(CopaConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Vegas*>(make_controller(VegasConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Ledbat*>(make_controller(LedbatConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Sprout*>(make_controller(SproutConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Bbr*>(make_controller(BbrConfig{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Bbr3*>(make_controller(Bbr3Config{}, limits).get()), nullptr);
  EXPECT_NE(dynamic_cast<Vivace*>(make_controller(VivaceConfig{}, limits).get()), nullptr);
}

TEST(Factory, RefusesBadLimitsByName) {
  WindowLimits limits;
  limits.minimum_packets = 20;
  try {
    make_controller(CubicConfig{}, limits);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("initial_packets"), std::string::npos);
  }
}

TEST(MirroredController, HasWhateverWindowItIsGiven) {
  MirroredController controller{WindowLimits{}};
  EXPECT_EQ(controller.congestion_window(), WindowLimits{}.initial());
  controller.set_window(ByteCount(7));
  EXPECT_EQ(controller.congestion_window(), ByteCount(7));
}

TEST(ExternalController, TakesTheWindowItIsGivenWithinTheLimits) {
  const WindowLimits limits;
  ExternalController controller(limits);
  EXPECT_EQ(controller.congestion_window(), limits.initial());
  controller.set_window(limits.packet_size * 37);
  EXPECT_EQ(controller.congestion_window(), limits.packet_size * 37);
  controller.set_window(ByteCount(1));
  EXPECT_EQ(controller.congestion_window(), limits.minimum());
  controller.set_window(limits.maximum() + ByteCount(1));
  EXPECT_EQ(controller.congestion_window(), limits.maximum());
}

TEST(ExternalController, IsPacedWhereItIsToldTo) {
  EXPECT_FALSE(ExternalController(WindowLimits{}).wants_pacing());
  EXPECT_TRUE(make_controller(ExternalConfig{.pacing = true}, WindowLimits{})->wants_pacing());
}

TEST(FixedController, KeepsItsWindowThroughLossAndAcks) {
  FixedConfig config;
  config.window_packets = 25;
  FixedController controller(config, WindowLimits{});
  TestSender sender(controller);
  sender.fill_window();
  sender.lose_and_ack(3, 10, Duration::from_ms(50), /*persistent=*/true);
  EXPECT_EQ(controller.congestion_window(), ByteCount(1252 * 25));
  EXPECT_FALSE(controller.wants_pacing());
  config.pacing = true;
  EXPECT_TRUE(FixedController(config, WindowLimits{}).wants_pacing());
  config.window_packets = 0;
  EXPECT_THROW(FixedController(config, WindowLimits{}), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
