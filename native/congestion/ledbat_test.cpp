#include "congestion/ledbat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "congestion/test_refusal.h"
#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr Duration kBase = Duration::from_ms(60);  // with the target of 60 ms, a gain of 1/2
constexpr Duration kTarget = Duration::from_ms(60);

double packets(const Ledbat& ledbat) {
  return static_cast<double>(ledbat.congestion_window().value()) / static_cast<double>(kPacket.value());
}

class LedbatPlusTest : public ::testing::Test {
 protected:
  // Windows of ten seconds' age do not end here: the first slowdown is put off.
  static LedbatConfig config() {
    LedbatConfig c;
    c.slowdown_rtts = 1000;
    return c;
  }
  // The window `rounds` round trips later.
  static double after(TestSender& sender, const Ledbat& ledbat, int rounds, Duration rtt) {
    for (int i = 0; i < rounds; ++i) sender.round(rtt, 1);
    return packets(ledbat);
  }
  // Slow start, ended by a loss at about `window` packets; then every packet in flight was sent after it.
  void enter_avoidance(double window) {
    sender_.fill_window();
    while (packets(ledbat_) < 2 * window) sender_.round(kBase, 1);
    sender_.lose(1);
    sender_.round(kBase, 1);
    sender_.round(kBase, 1);
    ASSERT_EQ(ledbat_.state(), Ledbat::State::kAvoidance);
  }
  // RTTs of one value only in the filter of four.
  void settle(Duration rtt) {
    for (int i = 0; i < 4; ++i) sender_.ack(1, rtt);
    sender_.fill_window();
  }

  Ledbat ledbat_{config(), WindowLimits{}};
  TestSender sender_{ledbat_};
};

TEST_F(LedbatPlusTest, StartsWithTwoPackets) {
  EXPECT_EQ(ledbat_.congestion_window(), kPacket * 2);
  EXPECT_EQ(ledbat_.state(), Ledbat::State::kSlowStart);
}

// Section 4.2: 1 / min(16, ceil(2 target / base)); slow start grows by that much of what is acknowledged.
TEST(LedbatPlus, TheGainFollowsTheBaseDelay) {
  const std::vector<std::pair<int, double>> expected = {{200, 1.0},    {120, 1.0},      {119, 1.0 / 2},
                                                        {60, 1.0 / 2}, {59, 1.0 / 3},   {20, 1.0 / 6},
                                                        {8, 1.0 / 15}, {7, 1.0 / 16.0}, {1, 1.0 / 16}};
  for (const auto& [base_ms, gain] : expected) {
    Ledbat ledbat(LedbatConfig{}, WindowLimits{});
    TestSender sender(ledbat);
    sender.fill_window();
    sender.advance(Duration::from_ms(base_ms));
    sender.ack(2, Duration::from_ms(base_ms));
    EXPECT_EQ(ledbat.congestion_window(), ByteCount(static_cast<std::int64_t>(2504 * (1 + gain)))) << base_ms;
  }
}

TEST_F(LedbatPlusTest, SlowStartEndsAtThreeQuartersOfTheTarget) {
  sender_.fill_window();
  for (int i = 0; i < 6; ++i) sender_.round(kBase, 1);
  settle(kBase + Duration::from_ms(45));
  EXPECT_EQ(ledbat_.state(), Ledbat::State::kSlowStart);
  settle(kBase + Duration::from_ms(46));
  EXPECT_EQ(ledbat_.state(), Ledbat::State::kAvoidance);
}

TEST_F(LedbatPlusTest, AddsTheGainARoundTripUpToTheTarget) {
  enter_avoidance(20);
  const double empty = packets(ledbat_);
  EXPECT_NEAR(after(sender_, ledbat_, 10, kBase) - empty, 10 * 0.5, 0.3);
  const double low = packets(ledbat_);
  EXPECT_NEAR(after(sender_, ledbat_, 10, kBase + kTarget) - low, 10 * 0.5, 0.3);
}

// Section 4.3: per round trip, gain - window * (delay / target - 1).
TEST_F(LedbatPlusTest, AboveTheTargetTheExcessIsTakenFromTheWindow) {
  enter_avoidance(40);
  const Duration rtt = kBase + kTarget.scaled(1.2);
  settle(rtt);
  const double before = packets(ledbat_);
  sender_.advance(rtt);
  sender_.ack(8, rtt);
  EXPECT_NEAR(packets(ledbat_) - before, (0.5 - 0.2 * before) * 8 / before, 1e-3);
}

TEST_F(LedbatPlusTest, TakesAtMostHalfTheWindowARoundTrip) {
  enter_avoidance(40);
  const Duration rtt = kBase + kTarget * 5;
  settle(rtt);
  const double before = packets(ledbat_);
  sender_.advance(rtt);
  sender_.ack(8, rtt);
  EXPECT_NEAR(packets(ledbat_) - before, -4, 1e-3);
}

TEST_F(LedbatPlusTest, OneLateRttOfFourIsNoQueue) {
  enter_avoidance(20);
  settle(kBase);
  const double before = packets(ledbat_);
  sender_.ack(1, kBase * 10);
  sender_.ack(1, kBase * 10);
  sender_.ack(1, kBase * 10);
  EXPECT_GT(packets(ledbat_), before);
  const double high = packets(ledbat_);
  sender_.ack(1, kBase * 10);
  EXPECT_LT(packets(ledbat_), high);
}

TEST_F(LedbatPlusTest, AnAckHeldBackIsNoQueue) {
  enter_avoidance(20);
  const double before = packets(ledbat_);
  const Duration held = Duration::from_ms(200);
  for (int i = 0; i < 8; ++i) sender_.ack(1, kBase + held, held);
  EXPECT_GT(packets(ledbat_), before);
}

TEST_F(LedbatPlusTest, HalvesOncePerFlightAndFallsToTheMinimumInPersistentCongestion) {
  enter_avoidance(20);
  sender_.fill_window();
  const double before = packets(ledbat_);
  sender_.lose(1);
  EXPECT_NEAR(packets(ledbat_), before / 2, 1e-3);
  sender_.lose(2);
  EXPECT_NEAR(packets(ledbat_), before / 2, 1e-3);
  sender_.lose(5, /*persistent=*/true);
  EXPECT_EQ(packets(ledbat_), 2);
}

// Section 4.4, from the first: two smoothed RTTs after slow start down to two packets, for two RTTs, up again
// by slow start, and on nine times as long.
TEST(LedbatPlus, SlowsDownAtOnceAndPeriodically) {
  Ledbat ledbat(LedbatConfig{}, WindowLimits{});
  TestSender sender(ledbat);
  sender.fill_window();
  while (packets(ledbat) < 40) sender.round(kBase, 1);
  const auto round_until = [&](Ledbat::State state) {
    const TimePoint start = sender.now();
    while (ledbat.state() != state) sender.round(kBase, 1);
    return (sender.now() - start) / kBase;
  };
  for (int i = 0; i < 4; ++i) sender.ack(1, kBase * 2);  // a queue above 45 ms
  ASSERT_EQ(ledbat.state(), Ledbat::State::kAvoidance);
  const double left_at = packets(ledbat);
  EXPECT_NEAR(round_until(Ledbat::State::kSlowdown), 2.5, 1.1);  // the smoothed RTT has risen by the queue
  EXPECT_EQ(packets(ledbat), 2);
  EXPECT_NEAR(round_until(Ledbat::State::kRamp), 2.5, 0.6);
  // By a half a round trip from two packets to where it was.
  EXPECT_NEAR(round_until(Ledbat::State::kAvoidance), std::log(left_at / 2) / std::log(1.5), 1.6);
  EXPECT_NEAR(packets(ledbat), left_at, 2.5);
  const double slowdown = 2.5 + std::log(left_at / 2) / std::log(1.5);
  EXPECT_NEAR(round_until(Ledbat::State::kSlowdown), 9 * slowdown, 9 * 2.0);
}

TEST(LedbatPlus, ALossEndsTheRampWhereItIs) {
  Ledbat ledbat(LedbatConfig{}, WindowLimits{});
  TestSender sender(ledbat);
  sender.fill_window();
  while (packets(ledbat) < 40) sender.round(kBase, 1);
  for (int i = 0; i < 4; ++i) sender.ack(1, kBase * 2);
  while (ledbat.state() != Ledbat::State::kRamp) sender.round(kBase, 1);
  while (packets(ledbat) < 10) sender.round(kBase, 1);
  // A delay does not: that test is the first slow start's.
  for (int i = 0; i < 4; ++i) sender.ack(1, kBase * 2);
  ASSERT_EQ(ledbat.state(), Ledbat::State::kRamp);
  sender.lose(1);
  const double cut = packets(ledbat);
  sender.ack(1, kBase);
  EXPECT_EQ(ledbat.state(), Ledbat::State::kAvoidance);
  EXPECT_LT(packets(ledbat), cut + 1);
}

TEST(LedbatPlus, StaysAtTwoPacketsForTheConfiguredRttsWhateverIsLost) {
  LedbatConfig config;
  config.slowdown_rtts = 4;
  Ledbat ledbat(config, WindowLimits{});
  TestSender sender(ledbat);
  sender.fill_window();
  while (packets(ledbat) < 40) sender.round(kBase, 1);
  for (int i = 0; i < 4; ++i) sender.ack(1, kBase * 2);
  while (ledbat.state() != Ledbat::State::kSlowdown) sender.round(kBase, 1);
  const TimePoint start = sender.now();
  sender.fill_window();
  sender.lose(1);
  while (ledbat.state() == Ledbat::State::kSlowdown) sender.round(kBase, 1);
  EXPECT_GE(sender.now() - start, kBase * 4);
  while (ledbat.state() == Ledbat::State::kRamp) sender.round(kBase, 1);
  EXPECT_GT(packets(ledbat), 39);  // back to where it was: the loss was not at that window
}

TEST_F(LedbatPlusTest, DoesNotGrowWhenTheApplicationIsTheLimit) {
  sender_.send(2, /*app_limited=*/true);
  sender_.ack(2, kBase);
  EXPECT_EQ(packets(ledbat_), 2);
  enter_avoidance(20);
  while (sender_.in_flight() > ByteCount::zero()) sender_.ack(1, kBase);
  const double before = packets(ledbat_);
  sender_.send(2, /*app_limited=*/true);
  sender_.ack(2, kBase);
  EXPECT_EQ(packets(ledbat_), before);
}

class LedbatRfcTest : public ::testing::Test {
 protected:
  static LedbatConfig config() {
    LedbatConfig c;
    c.flavour = LedbatFlavour::kRfc6817;
    return c;
  }
  Ledbat ledbat_{config(), WindowLimits{}};
  TestSender sender_{ledbat_};
};

TEST_F(LedbatRfcTest, StartsInAvoidanceFromTheTransportsWindow) {
  EXPECT_EQ(ledbat_.congestion_window(), kPacket * 10);
  EXPECT_EQ(ledbat_.state(), Ledbat::State::kAvoidance);
}

// Section 2.4.2: window += gain * (target - delay) / target * acked * packet / window.
TEST_F(LedbatRfcTest, GrowsAndShrinksByTheDistanceToTheTarget) {
  const std::vector<std::pair<double, double>> expected = {{0, 1}, {0.5, 0.5}, {1, 0}, {1.5, -0.5}, {3, -2}};
  for (const auto& [targets, off_target] : expected) {
    Ledbat ledbat(config(), WindowLimits{});
    TestSender sender(ledbat);
    sender.fill_window();
    sender.ack(1, kBase);
    for (int i = 0; i < 4; ++i) {
      sender.fill_window();
      sender.ack(1, kBase + kTarget.scaled(targets));
    }
    sender.fill_window();
    const double before = packets(ledbat);
    sender.ack(2, kBase + kTarget.scaled(targets));
    EXPECT_NEAR(packets(ledbat) - before, off_target * 2 / before, 2e-3) << targets;
  }
}

TEST_F(LedbatRfcTest, GrowsNoFurtherThanAPacketAboveWhatWasInFlight) {
  sender_.send(4);
  sender_.ack(1, kBase);
  EXPECT_EQ(packets(ledbat_), 5);
}

TEST_F(LedbatRfcTest, NeverSlowsDownByItself) {
  sender_.fill_window();
  for (int i = 0; i < 300; ++i) {
    sender_.round(kBase);
    ASSERT_EQ(ledbat_.state(), Ledbat::State::kAvoidance);
  }
  EXPECT_GT(packets(ledbat_), 200);
}

TEST_F(LedbatRfcTest, TheBaseDelayIsTheLeastOfTenMinutes) {
  sender_.fill_window();
  sender_.round(kBase);
  const Duration longer = kBase + kTarget * 3;
  const TimePoint start = sender_.now();
  while (sender_.now() - start < Duration::from_ms(590'000)) sender_.round(longer);
  EXPECT_EQ(packets(ledbat_), 2);
  while (sender_.now() - start < Duration::from_ms(610'000)) sender_.round(longer);
  EXPECT_GT(packets(ledbat_), 10);
}

TEST(Ledbat, RefusesBadConfigurationByName) {
  const auto refused = [](auto change) { return refusal<Ledbat, LedbatConfig>(change); };
  EXPECT_EQ(refused([](LedbatConfig& c) { c.target = Duration::zero(); }), "ledbat target must be positive");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.gain = 0; }), "ledbat gain must be positive");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.allowed_increase_packets = 0; }),
            "ledbat allowed_increase_packets must be positive");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.base_window = Duration::zero(); }),
            "ledbat base_window must be positive");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.max_gain_divisor = 0; }),
            "ledbat max_gain_divisor must be at least 1");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.decrease = 0; }), "ledbat decrease must be positive");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.slow_start_exit = 0; }),
            "ledbat slow_start_exit must be positive");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.slowdown_rtts = 0; }), "ledbat slowdown_rtts must be at least 1");
  EXPECT_EQ(refused([](LedbatConfig& c) { c.slowdown_interval = 0; }),
            "ledbat slowdown_interval must be positive");
}

}  // namespace
}  // namespace mvfstrl
