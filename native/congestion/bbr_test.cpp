#include "congestion/bbr.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "congestion/test_bottleneck.h"
#include "congestion/test_refusal.h"

namespace mvfstrl {
namespace {

using State = Bbr::State;

struct Story {
  explicit Story(TestBottleneck::Options options = {}, BbrConfig config = {})
      : bbr(config, WindowLimits{}, Rng(7)), path(bbr, options) {}

  bool reach(State state, std::int64_t limit_ms = 20'000) {
    return path.run_until([&] { return bbr.state() == state; }, limit_ms);
  }
  double packets_per_ms() const { return bbr.bandwidth().bps() / 8 / 1252 / 1000; }
  std::int64_t window() const { return bbr.congestion_window().value() / 1252; }

  Bbr bbr;
  TestBottleneck path;
};

TEST(MaxFilter, KeepsTheLargestAndForgetsItAfterTheWindow) {
  MaxFilter<double> filter(10);
  filter.update(5, 1);
  for (std::uint64_t round = 2; round <= 11; ++round) {
    filter.update(3, round);
    EXPECT_EQ(filter.best(), 5) << round;
  }
  filter.update(3, 12);
  EXPECT_EQ(filter.best(), 3);
  filter.update(4, 12);
  EXPECT_EQ(filter.best(), 4);
}

TEST(MaxFilter, FallsBackToTheBestOfTheRest) {
  MaxFilter<double> filter(10);
  filter.update(9, 1);
  filter.update(7, 5);
  filter.update(4, 11);
  EXPECT_EQ(filter.best(), 9);
  filter.update(4, 12);
  EXPECT_EQ(filter.best(), 7);
}

TEST(Bbr, StartsWithTheGainsAndTheWindowOfMvfst) {
  Story story;
  EXPECT_EQ(story.bbr.state(), State::kStartup);
  EXPECT_EQ(story.window(), 10);
  EXPECT_DOUBLE_EQ(story.bbr.pacing_gain(), 2.885);
  EXPECT_FALSE(story.bbr.pace(RttStats{}).has_value());  // nothing is known of the path
  EXPECT_TRUE(story.bbr.wants_pacing());
}

TEST(Bbr, StartupDoublesTheWindowARound) {
  Bbr bbr(BbrConfig{}, WindowLimits{});
  TestSender sender(bbr);
  sender.fill_window();
  for (const std::int64_t window : {20, 40, 80}) {
    sender.round(Duration::from_ms(40));
    EXPECT_EQ(sender.window_packets(), window);
  }
}

// The bandwidth is found when the link is full: from there on rounds are flat, the third ends Startup.
TEST(Bbr, StartupEndsAfterThreeFlatRounds) {
  Story story;
  ASSERT_TRUE(story.path.run_until([&] { return story.packets_per_ms() > 0.99; }, 2'000));
  const TimePoint full = story.path.now();
  ASSERT_TRUE(story.reach(State::kDrain));
  const double rounds = (story.path.now() - full) / story.path.options().rtt;
  EXPECT_GT(rounds, 3.0);
  EXPECT_LT(rounds, 3 * 2.885 + 2);  // the queue that Startup builds makes rounds longer
}

TEST(Bbr, OneMoreFlatRoundIsAllowedWhenToldSo) {
  const auto end_of_startup = [](std::int32_t rounds) {
    BbrConfig config;
    config.startup_flat_rounds = rounds;
    Story story({}, config);
    EXPECT_TRUE(story.reach(State::kDrain));
    return story.path.now();
  };
  EXPECT_GT(end_of_startup(4), end_of_startup(3) + Duration::from_ms(40));
}

TEST(Bbr, DrainEmptiesTheQueueThatStartupBuilt) {
  Story story;
  ASSERT_TRUE(story.reach(State::kDrain));
  EXPECT_GT(story.path.queue(), story.path.bdp());
  EXPECT_NEAR(story.bbr.pacing_gain(), 1 / 2.885, 1e-9);
  EXPECT_TRUE(story.bbr.pace(RttStats{})->restart);
  ASSERT_TRUE(story.reach(State::kProbeBw));
  EXPECT_LE(story.path.queue(), 8);  // three quanta of two packets, and what a step sends
}

TEST(Bbr, KeepsTheLinkFullAndTheQueueShort) {
  Story story;
  ASSERT_TRUE(story.reach(State::kProbeBw));
  const std::int64_t before = story.path.delivered();
  std::int64_t longest = 0;
  for (int i = 0; i < 4'000; ++i) {
    story.path.run_ms(1);
    longest = std::max(longest, story.path.queue());
  }
  EXPECT_GT(story.path.delivered() - before, 3'950);
  EXPECT_LE(longest, story.path.bdp() / 4 + 8);  // a probe adds a quarter of the product
}

TEST(Bbr, ProbesInAnEighthOfItsCycle) {
  Story story;
  ASSERT_TRUE(story.reach(State::kProbeBw));
  story.path.run_ms(400);
  std::int64_t up = 0;
  std::int64_t down = 0;
  constexpr int kSpan = 3'200;
  for (int i = 0; i < kSpan; ++i) {
    story.path.run_ms(1);
    up += story.bbr.pacing_gain() > 1 ? 1 : 0;
    down += story.bbr.pacing_gain() < 1 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(up) / kSpan, 0.13, 0.04);
  EXPECT_NEAR(static_cast<double>(down) / kSpan, 0.11, 0.05);
}

TEST(Bbr, FindsMoreBandwidthByProbing) {
  Story story;
  ASSERT_TRUE(story.reach(State::kProbeBw));
  story.path.options().packets_per_ms = 2;
  story.path.run_ms(6'000);
  EXPECT_NEAR(story.packets_per_ms(), 2, 0.1);
}

TEST(Bbr, ForgetsABandwidthThatIsTenRoundsOld) {
  Story story({.packets_per_ms = 4});
  ASSERT_TRUE(story.reach(State::kProbeBw));
  story.path.run_ms(500);
  EXPECT_NEAR(story.packets_per_ms(), 4, 0.2);
  story.path.options().packets_per_ms = 1;
  story.path.run_ms(5 * 40);
  EXPECT_GT(story.packets_per_ms(), 3.5);  // the filter still remembers
  story.path.run_ms(6'000);
  EXPECT_NEAR(story.packets_per_ms(), 1, 0.1);
}

TEST(Bbr, MeasuresTheRttAnewAfterTenSecondsWithFourPackets) {
  Story story;
  ASSERT_TRUE(story.reach(State::kProbeBw));
  story.path.options().rtt = Duration::from_ms(50);  // the old minimum cannot be seen again
  ASSERT_TRUE(story.reach(State::kProbeRtt));
  const double after_s = story.path.now().to_seconds() - 1.0;
  EXPECT_GT(after_s, 10.0);
  EXPECT_LT(after_s, 10.5);
  EXPECT_EQ(story.window(), 4);
  const TimePoint entered = story.path.now();
  ASSERT_TRUE(story.reach(State::kProbeBw));
  const double stayed_ms = (story.path.now() - entered).to_ms();
  EXPECT_GT(stayed_ms, 200 + 40);
  EXPECT_LT(stayed_ms, 200 + 4 * 60);
  EXPECT_NEAR(story.bbr.min_rtt().to_ms(), 51, 3);
}

// What ProbeRtt sends says nothing about the bandwidth.
TEST(Bbr, ProbeRttDoesNotLowerTheBandwidth) {
  BbrConfig config;
  config.probe_rtt = Duration::from_ms(3'000);  // far beyond ten rounds
  Story story({}, config);
  ASSERT_TRUE(story.reach(State::kProbeBw));
  story.path.options().rtt = Duration::from_ms(50);
  ASSERT_TRUE(story.reach(State::kProbeRtt));
  const double before = story.packets_per_ms();
  ASSERT_TRUE(story.reach(State::kProbeBw));
  EXPECT_NEAR(story.packets_per_ms(), before, 0.02);
}

TEST(Bbr, SilenceOfTheApplicationDoesNotLowerTheBandwidth) {
  Bbr bbr(BbrConfig{}, WindowLimits{});
  TestSender sender(bbr);
  for (int i = 0; i < 8; ++i) {
    sender.fill_window();
    sender.round(Duration::from_ms(40));
  }
  const Bandwidth before = bbr.bandwidth();
  sender.advance(Duration::from_ms(40));
  sender.ack(10, Duration::from_ms(40));
  for (int i = 0; i < 30; ++i) {
    sender.send(1, /*app_limited=*/true);
    sender.advance(Duration::from_ms(40));
    sender.ack(1, Duration::from_ms(40));
  }
  EXPECT_GE(bbr.bandwidth().bps(), before.bps() * 0.999);
}

// Conservation: as much may be sent as is acknowledged, for one round; then the window may grow.
TEST(Bbr, ALossIsFollowedByARoundOfConservation) {
  Story story({.packets_per_ms = 4});
  ASSERT_TRUE(story.reach(State::kProbeBw));
  story.path.run_ms(1'000);
  EXPECT_FALSE(story.bbr.in_recovery());
  story.path.options().lose_every = 50;
  ASSERT_TRUE(story.path.run_until([&] { return story.bbr.in_recovery(); }, 1'000));
  EXPECT_LE(story.bbr.congestion_window(), story.path.in_flight() + ByteCount(2 * 1252));
  story.path.options().lose_every = 0;
  ASSERT_TRUE(story.path.run_until([&] { return !story.bbr.in_recovery(); }, 1'000));
  EXPECT_GT(story.window(), story.path.bdp());
}

TEST(Bbr, RandomLossDoesNotLowerTheRate) {
  Story story({.packets_per_ms = 4, .lose_every = 50});
  ASSERT_TRUE(story.reach(State::kProbeBw));
  const std::int64_t before = story.path.delivered();
  story.path.run_ms(4'000);
  EXPECT_GT(story.path.delivered() - before, 4 * 4'000 * 0.9);
}

TEST(Bbr, PersistentCongestionLeavesTheLeastWindow) {
  Story story;
  ASSERT_TRUE(story.reach(State::kProbeBw));
  TestSender sender(story.bbr);
  sender.send(60);
  sender.lose(10, /*persistent=*/false);
  EXPECT_EQ(story.window(), 40);  // what is in flight, less what was lost
  sender.lose(10, /*persistent=*/true);
  EXPECT_EQ(story.window(), 4);
}

// Beside two products and three quanta of two packets, the window holds what ACKs were ahead of the
// bandwidth: most of 60 packets where those of 30 ms come together.
TEST(Bbr, TheWindowMakesRoomForAggregatedAcks) {
  const auto room = [](std::int64_t ack_every_ms) {
    Story story({.packets_per_ms = 2, .ack_every_ms = ack_every_ms});
    EXPECT_TRUE(story.reach(State::kProbeBw));
    story.path.run_ms(2'000);
    const double products = 2 * story.packets_per_ms() * story.bbr.min_rtt().to_ms();
    return static_cast<double>(story.window()) - products - 6;
  };
  EXPECT_LT(room(1), 10);
  EXPECT_GT(room(30), 30);
}

TEST(Bbr, RefusesParametersByName) {
  const auto refused = [](auto change) { return refusal<Bbr, BbrConfig>(change); };
  EXPECT_NE(refused([](BbrConfig& c) { c.startup_gain = 1; }).find("startup_gain"), std::string::npos);
  EXPECT_NE(refused([](BbrConfig& c) { c.bandwidth_rounds = 0; }).find("bandwidth_rounds"),
            std::string::npos);
  EXPECT_EQ(refused([](BbrConfig&) {}), "accepted");
}

}  // namespace
}  // namespace mvfstrl
