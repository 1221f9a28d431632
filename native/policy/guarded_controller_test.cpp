#include "policy/guarded_controller.h"

#include <gtest/gtest.h>

#include <string>

#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr Duration kRtt = Duration::from_ms(60);
constexpr Duration kSoon = Duration::from_ms(5);
const WindowLimits kAgent{.maximum_packets = 2000};

struct Story {
  explicit Story(const ControllerConfig& fallback = CubicConfig{}, const ExternalConfig& external = {},
                 const WindowLimits& limits = {})
      : controller(with(fallback), kAgent, external, limits), sender(controller) {}
  static GuardConfig with(const ControllerConfig& fallback) {
    GuardConfig config;
    config.return_after = 3;
    config.max_return_after = 12;
    config.fallback = fallback;
    return config;
  }
  Driver asks_for(std::int64_t packets) {
    return controller.decide(sender.now(), {kSoon, true, kPacket * packets});
  }
  Driver gives_nan() { return controller.decide(sender.now(), {kSoon, false, kPacket * 777}); }

  GuardedController controller;
  TestSender sender;
};

TEST(GuardedController, HoldsThePolicysWindowWhateverHappens) {
  Story story;
  EXPECT_EQ(story.sender.window_packets(), 10);
  EXPECT_EQ(story.asks_for(25), Driver::kPolicy);
  story.sender.fill_window();
  story.sender.advance(kRtt);
  story.sender.lose_and_ack(5, 20, kRtt);
  EXPECT_EQ(story.sender.window_packets(), 25);
  story.asks_for(5000);
  EXPECT_EQ(story.sender.window_packets(), 2000);
}

TEST(GuardedController, TheFallbackStartsAtThePresentWindowAndGoesItsOwnWay) {
  Story story;
  story.asks_for(25);
  EXPECT_EQ(story.gives_nan(), Driver::kFallback);
  EXPECT_EQ(story.sender.window_packets(), 25) << "not what the bad decision asked for";
  EXPECT_EQ(story.controller.phase_name(), "slow_start");
  story.sender.fill_window();
  story.sender.advance(kRtt);
  story.sender.ack(10, kRtt);
  EXPECT_EQ(story.sender.window_packets(), 35) << "CUBIC's slow start";
  story.sender.lose_and_ack(1, 9, kRtt);
  EXPECT_EQ(story.controller.phase_name(), "recovery");
  EXPECT_LT(story.sender.window_packets(), 35);
}

TEST(GuardedController, IsThatControllerStartedThere) {
  Story story;
  story.asks_for(32);
  story.gives_nan();
  Cubic alone(CubicConfig{}, WindowLimits{.initial_packets = 32});
  TestSender other(alone);
  for (TestSender* sender : {&story.sender, &other}) {
    sender->fill_window();
    for (int i = 0; i < 5; ++i) sender->round(kRtt);
    sender->lose_and_ack(3, 20, kRtt);
    for (int i = 0; i < 20; ++i) sender->round(kRtt);
  }
  EXPECT_EQ(story.controller.congestion_window(), alone.congestion_window());
}

TEST(GuardedController, ThePolicyComesBackToTheFallbacksWindow) {
  Story story;
  story.asks_for(25);
  story.gives_nan();
  story.sender.fill_window();
  story.sender.advance(kRtt);
  story.sender.ack(20, kRtt);
  EXPECT_EQ(story.asks_for(90), Driver::kFallback);
  EXPECT_EQ(story.asks_for(90), Driver::kFallback);
  EXPECT_EQ(story.sender.window_packets(), 45) << "a shadow changes nothing";
  EXPECT_EQ(story.asks_for(44), Driver::kPolicy);
  EXPECT_EQ(story.sender.window_packets(), 44);
  story.sender.ack(5, kRtt);
  EXPECT_EQ(story.sender.window_packets(), 44);
}

TEST(GuardedController, EachFallbackStartsAfresh) {
  Story story;
  story.gives_nan();
  story.sender.fill_window();
  story.sender.advance(kRtt);
  story.sender.lose_and_ack(1, 9, kRtt);  // CUBIC leaves slow start for good
  for (int i = 0; i < 3; ++i) story.asks_for(60);
  story.gives_nan();
  EXPECT_EQ(story.controller.phase_name(), "slow_start");
  EXPECT_EQ(story.sender.window_packets(), 60);
}

TEST(GuardedController, KeepsTheFallbackWithinItsOwnLimits) {
  Story story(CubicConfig{}, {}, {.maximum_packets = 100});
  story.asks_for(700);
  story.gives_nan();
  EXPECT_EQ(story.sender.window_packets(), 100);
}

TEST(GuardedController, TellsTheFallbackThatTheApplicationIsIdle) {
  Story story;
  Story busy;
  for (Story* one : {&story, &busy}) {
    one->asks_for(100);
    one->gives_nan();
    one->sender.fill_window();
    one->sender.advance(kRtt);
    one->sender.lose_and_ack(1, 99, kRtt);
    one->sender.fill_window();
    one->sender.round(kRtt);
    if (one == &story) one->controller.set_app_idle(true, one->sender.now());
    one->sender.advance(Duration::from_ms(3000));
    if (one == &story) one->controller.set_app_idle(false, one->sender.now());
    one->sender.ack(10, kRtt);
  }
  EXPECT_LT(story.controller.congestion_window(), busy.controller.congestion_window())
      << "silence does not count on CUBIC's curve";
}

TEST(GuardedController, AnUnpacedPolicyIsNotPacedForItsFallbacksSake) {
  Story story(BbrConfig{});
  EXPECT_TRUE(story.controller.wants_pacing());
  RttStats rtt;
  rtt.update(kRtt, Duration::zero());
  ASSERT_TRUE(story.controller.pace(rtt).has_value());
  EXPECT_EQ(story.controller.pace(rtt)->over, Duration::zero());
  story.gives_nan();
  story.sender.fill_window();
  story.sender.round(kRtt);
  ASSERT_TRUE(story.controller.pace(rtt).has_value());
  EXPECT_GT(story.controller.pace(rtt)->over, Duration::zero());
}

TEST(GuardedController, APacedPolicyKeepsItsPace) {
  Story story(CubicConfig{}, {.pacing = true});
  EXPECT_TRUE(story.controller.wants_pacing());
  RttStats rtt;
  EXPECT_FALSE(story.controller.pace(rtt).has_value()) << "no sample yet";
  rtt.update(kRtt, Duration::zero());
  EXPECT_EQ(story.controller.pace(rtt)->over, kRtt);
  EXPECT_EQ(story.controller.pace(rtt)->window, kPacket * 10);
  EXPECT_FALSE(Story().controller.wants_pacing());
}

// Any controller of the catalogue can take over in the middle of a connection, with packets in flight that
// it did not see leave, and give it back.
template <std::size_t... I>
std::vector<ControllerConfig> catalogue(std::index_sequence<I...>) {
  return {ControllerConfig(std::in_place_index<I>)...};
}

TEST(GuardedController, AnyControllerCanBeTheFallback) {
  for (const ControllerConfig& config :
       catalogue(std::make_index_sequence<std::variant_size_v<ControllerConfig>>{})) {
    if (std::holds_alternative<ExternalConfig>(config)) continue;
    SCOPED_TRACE(controller_name(config));
    Story story(config, {}, {.maximum_packets = 100});
    story.asks_for(40);
    story.sender.fill_window();
    story.sender.round(kRtt);
    for (int turn = 0; turn < 3; ++turn) {
      EXPECT_EQ(story.gives_nan(), Driver::kFallback);
      for (int i = 0; i < 30; ++i) story.sender.round(kRtt);
      story.sender.advance(kRtt);
      story.sender.lose_and_ack(1, 1, kRtt);
      EXPECT_GE(story.controller.congestion_window(), kPacket * 2);
      while (story.asks_for(40) == Driver::kFallback) {
      }
      EXPECT_EQ(story.sender.window_packets(), 40);
    }
  }
}

TEST(GuardedController, NamesABadFallback) {
  CubicConfig config;
  config.beta = 2;
  EXPECT_THROW(Story{config}, std::invalid_argument);
  EXPECT_THROW(Story{ExternalConfig{}}, std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
