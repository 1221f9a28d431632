#include "congestion/bbr3.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "congestion/bbr.h"
#include "congestion/test_bottleneck.h"
#include "congestion/test_refusal.h"

namespace mvfstrl {
namespace {

using State = Bbr3::State;

struct Story {
  explicit Story(TestBottleneck::Options options = {}, std::uint64_t seed = 7, Bbr3Config config = {})
      : bbr(config, WindowLimits{}, Rng(seed)), path(bbr, options) {}

  bool reach(State state, std::int64_t limit_ms = 20'000) {
    return path.run_until([&] { return bbr.state() == state; }, limit_ms);
  }
  double packets_per_ms() const { return bbr.bandwidth().bps() / 8 / 1252 / 1000; }
  double pace() const { return bbr.pacing_rate()->bps() / 8 / 1252 / 1000; }
  std::int64_t window() const { return bbr.congestion_window().value() / 1252; }

  Bbr3 bbr;
  TestBottleneck path;
};

// No ProbeRTT within the story.
Bbr3Config without_probe_rtt() {
  Bbr3Config config;
  config.probe_rtt_interval = Duration::from_ms(60'000);
  return config;
}

constexpr TestBottleneck::Options kWide{.packets_per_ms = 10};  // a product of 400 packets

TEST(Bbr3, PacesTheFirstWindowsByTheFirstRtt) {
  Story story;
  EXPECT_FALSE(story.bbr.pacing_rate().has_value());
  story.path.run_ms(42);  // the first acknowledgement: 41 ms
  EXPECT_NEAR(story.pace(), 2.77 * 10 / 41, 0.05);
}

TEST(Bbr3, StartupEndsAfterThreeFlatRounds) {
  Story story;
  ASSERT_TRUE(story.path.run_until([&] { return story.packets_per_ms() > 0.99; }, 2'000));
  const TimePoint full = story.path.now();
  ASSERT_TRUE(story.reach(State::kDrain));
  const double rounds = (story.path.now() - full) / story.path.options().rtt;
  EXPECT_GT(rounds, 3.0);
  EXPECT_LT(rounds, 3 * 2.0 + 2);  // the window of two products makes rounds twice as long
}

TEST(Bbr3, DrainEmptiesTheQueueThatStartupBuilt) {
  Story story;
  ASSERT_TRUE(story.reach(State::kDrain));
  EXPECT_GT(story.path.queue(), story.path.bdp() / 2);
  const double paced = story.pace();
  story.path.run_ms(2);
  EXPECT_NEAR(story.pace(), 0.5 * 0.99 * story.packets_per_ms(), 0.02);
  EXPECT_LE(story.pace(), paced);
  ASSERT_TRUE(story.reach(State::kCruise));
  EXPECT_LE(story.path.queue(), 6);
}

TEST(Bbr3, KeepsTheLinkFullAndTheQueueShort) {
  Story story(kWide);
  ASSERT_TRUE(story.reach(State::kCruise));
  const std::int64_t before = story.path.delivered();
  double queued = 0;
  for (int i = 0; i < 4'000; ++i) {
    story.path.run_ms(1);
    queued += static_cast<double>(story.path.queue());
  }
  EXPECT_GT(story.path.delivered() - before, 10 * 4'000 * 0.97);  // 1 % below the bandwidth, on purpose
  EXPECT_LT(queued / 4'000, 0.25 * static_cast<double>(story.path.bdp()));
}

// The states follow each other; a probe fills the pipe for a round first.
TEST(Bbr3, ACycleIsDownCruiseRefillUp) {
  Story story(kWide, 7, without_probe_rtt());
  ASSERT_TRUE(story.reach(State::kDown));
  std::vector<State> seen = {State::kDown};
  for (int i = 0; i < 4'500 && seen.size() < 5; ++i) {
    story.path.run_ms(1);
    if (story.bbr.state() != seen.back()) seen.push_back(story.bbr.state());
  }
  const std::vector<State> cycle = {State::kDown, State::kCruise, State::kRefill, State::kUp, State::kDown};
  EXPECT_EQ(seen, cycle);
}

Duration wait_of(std::uint64_t seed) {
  // 63 rounds of 80 ms are longer than three seconds: the clock decides.
  Story story({.packets_per_ms = 10, .rtt = Duration::from_ms(80)}, seed, without_probe_rtt());
  EXPECT_TRUE(story.reach(State::kDown));
  const TimePoint start = story.path.now();
  EXPECT_TRUE(story.reach(State::kRefill));
  return story.path.now() - start;
}

TEST(Bbr3, WaitsTwoToThreeSecondsBetweenProbes) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    EXPECT_GE(wait_of(seed), Duration::from_ms(2'000)) << seed;
    EXPECT_LE(wait_of(seed), Duration::from_ms(3'005)) << seed;
  }
  EXPECT_EQ(wait_of(3), wait_of(3));
  EXPECT_NE(wait_of(3), wait_of(4));
}

// A small product: Reno would have gained a packet a round and halved by then.
TEST(Bbr3, ProbesAsOftenAsRenoWould) {
  Story story;  // 40 packets: 40 rounds of about 41 ms
  ASSERT_TRUE(story.reach(State::kDown));
  const TimePoint start = story.path.now();
  ASSERT_TRUE(story.reach(State::kRefill));
  EXPECT_GT((story.path.now() - start).to_ms(), 35 * 41);
  EXPECT_LT((story.path.now() - start).to_ms(), 46 * 45);
}

TEST(Bbr3, FindsMoreBandwidthByProbing) {
  Story story(kWide);
  ASSERT_TRUE(story.reach(State::kCruise));
  story.path.options().packets_per_ms = 30;
  story.path.run_ms(9'000);
  EXPECT_GT(story.packets_per_ms(), 25);
}

TEST(Bbr3, ForgetsABandwidthThatIsTwoCyclesOld) {
  Story story(kWide);
  ASSERT_TRUE(story.reach(State::kCruise));
  story.path.options().packets_per_ms = 5;
  story.path.run_ms(600);
  EXPECT_GT(story.packets_per_ms(), 9);
  story.path.run_ms(9'000);
  EXPECT_NEAR(story.packets_per_ms(), 5, 0.5);
}

TEST(Bbr3, MeasuresTheRttAnewEveryFiveSecondsWithHalfTheProduct) {
  Story story(kWide);
  ASSERT_TRUE(story.reach(State::kCruise));
  story.path.options().rtt = Duration::from_ms(50);
  ASSERT_TRUE(story.reach(State::kProbeRtt));
  EXPECT_LT(story.path.now().to_seconds() - 1.0, 5.5);
  EXPECT_NEAR(static_cast<double>(story.window()), 0.5 * 400, 25);
  const TimePoint entered = story.path.now();
  ASSERT_TRUE(story.path.run_until([&] { return story.bbr.state() != State::kProbeRtt; }, 1'000));
  EXPECT_GT((story.path.now() - entered).to_ms(), 200);
  EXPECT_LT((story.path.now() - entered).to_ms(), 200 + 4 * 60);
  EXPECT_EQ(story.bbr.state(), State::kCruise);  // what is in flight is down already
  ASSERT_TRUE(story.reach(State::kProbeRtt));    // it takes two to forget a minimum of ten seconds
  ASSERT_TRUE(story.reach(State::kCruise));
  EXPECT_NEAR(story.bbr.min_rtt().to_ms(), 51, 3);
}

// One packet in a hundred is below the threshold of 2 %, one in twenty is above.
TEST(Bbr3, AProbeThatLosesMoreThanTwoPercentBoundsWhatIsInFlight) {
  const auto bound = [](std::int64_t lose_every) {
    Story story(kWide);
    EXPECT_TRUE(story.reach(State::kCruise));
    EXPECT_FALSE(story.bbr.inflight_long_term().has_value());
    story.path.options().lose_every = lose_every;
    story.path.run_ms(4'000);
    return story.bbr.inflight_long_term();
  };
  EXPECT_FALSE(bound(100).has_value());
  EXPECT_TRUE(bound(20).has_value());
}

// Any loss while cruising: never below 0.7 of itself a round, nor below what was delivered.
TEST(Bbr3, LossWhileCruisingLowersTheShortTermBoundsUntilTheNextProbe) {
  Story story(kWide);
  ASSERT_TRUE(story.reach(State::kCruise));
  story.path.options().lose_every = 50;
  const auto bounded = [&] { return story.bbr.inflight_short_term().has_value(); };
  ASSERT_TRUE(story.path.run_until(bounded, 500));
  EXPECT_GE(story.window(), 0.7 * 400);
  story.path.options().lose_every = 0;
  ASSERT_TRUE(story.reach(State::kRefill));
  EXPECT_FALSE(bounded());
}

TEST(Bbr3, CruisingLeavesHeadroomBelowTheLongTermBound) {
  TestBottleneck::Options shallow = kWide;
  shallow.queue_packets = 40;
  Story story(shallow);
  const auto bounded = [&] {
    return story.bbr.state() == State::kCruise && story.bbr.inflight_long_term().has_value();
  };
  ASSERT_TRUE(story.path.run_until(bounded, 20'000));
  story.path.run_ms(1);
  const double bound = static_cast<double>(story.bbr.inflight_long_term()->value());
  EXPECT_LE(static_cast<double>(story.bbr.congestion_window().value()), 0.8501 * bound);
}

TEST(Bbr3, StartupEndsWhenAShallowBufferOverflows) {
  TestBottleneck::Options shallow = kWide;
  shallow.queue_packets = 20;
  Story story(shallow);
  ASSERT_TRUE(story.reach(State::kDrain));
  EXPECT_TRUE(story.bbr.inflight_long_term().has_value());
}

double loss_rate(CongestionController& controller) {
  TestBottleneck::Options shallow = kWide;
  shallow.queue_packets = 20;
  TestBottleneck path(controller, shallow);
  path.run_ms(3'000);
  const std::int64_t lost = path.lost();
  const std::int64_t delivered = path.delivered();
  path.run_ms(10'000);
  EXPECT_GT(path.delivered() - delivered, 10 * 10'000 * 0.75);
  return static_cast<double>(path.lost() - lost) / static_cast<double>(path.delivered() - delivered);
}

TEST(Bbr3, LosesFarLessInAShallowBufferThanVersionOne) {
  Bbr3 third(Bbr3Config{}, WindowLimits{});
  Bbr first(BbrConfig{}, WindowLimits{});
  EXPECT_LT(loss_rate(third), 0.02);
  EXPECT_GT(loss_rate(first), 2 * loss_rate(third));
}

TEST(Bbr3, RefusesParametersByName) {
  const auto refused = [](auto change) { return refusal<Bbr3, Bbr3Config>(change); };
  EXPECT_NE(refused([](Bbr3Config& c) { c.loss_threshold = 1; }).find("loss_threshold"), std::string::npos);
  EXPECT_NE(refused([](Bbr3Config& c) { c.probe_wait_high = Duration::from_ms(1); }).find("probe_wait_high"),
            std::string::npos);
  EXPECT_EQ(refused([](Bbr3Config&) {}), "accepted");
}

}  // namespace
}  // namespace mvfstrl
