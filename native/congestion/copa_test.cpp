#include "congestion/copa.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "congestion/test_refusal.h"
#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr Duration kBase = Duration::from_ms(50);
constexpr Duration kQueued = Duration::from_ms(100);

class CopaTest : public ::testing::Test {
 protected:
  // Leaves slow start: one RTT at the base, then one with a queue far above the target.
  void leave_slow_start() {
    sender_.fill_window();
    sender_.advance(kBase);
    sender_.ack(1, kBase);
    sender_.advance(kBase);
    sender_.ack(1, kQueued);
    ASSERT_FALSE(copa_.in_slow_start());
  }
  // The same from a window of 1280 packets, far above any target.
  void leave_slow_start_high() {
    sender_.fill_window();
    for (int i = 0; i < 8; ++i) {
      sender_.round(kBase);
      sender_.advance(Duration::from_ms(1));
    }
    ASSERT_EQ(copa_.congestion_window(), kPacket * 1280);
    sender_.ack(1, kQueued);
    ASSERT_FALSE(copa_.in_slow_start());
  }
  double window() const { return static_cast<double>(copa_.congestion_window().value()); }

  Copa copa_{CopaConfig{}, WindowLimits{}};
  TestSender sender_{copa_};
};

TEST_F(CopaTest, SlowStartDoublesOnceASmoothedRttAndNotAnAck) {
  sender_.fill_window();
  sender_.advance(kBase);
  for (int i = 0; i < 5; ++i) sender_.ack(1, kBase);
  EXPECT_EQ(copa_.congestion_window(), kPacket * 10);
  sender_.advance(kBase);
  sender_.ack(1, kBase);  // a smoothed RTT is not more than itself
  EXPECT_EQ(copa_.congestion_window(), kPacket * 10);
  sender_.advance(Duration::from_us(1));
  sender_.ack(1, kBase);
  EXPECT_EQ(copa_.congestion_window(), kPacket * 20);
  sender_.ack(1, kBase);
  EXPECT_EQ(copa_.congestion_window(), kPacket * 20);
}

TEST_F(CopaTest, WithoutAnyQueueTheTargetIsInfinite) {
  sender_.fill_window();
  for (int i = 0; i < 8; ++i) {
    sender_.round(kBase);
    sender_.advance(Duration::from_ms(1));
  }
  EXPECT_TRUE(copa_.in_slow_start());
  EXPECT_EQ(copa_.congestion_window(), kPacket * 10 * 128);
}

// 10 packets over a standing RTT of 50 ms are 200 packets a second; the target is 2 packets a queueing delay.
TEST(Copa, LeavesSlowStartWhereTheRatePassesOnePacketADeltaOfTheDelay) {
  for (const int us : {9'990, 10'000, 10'010}) {
    Copa copa(CopaConfig{}, WindowLimits{});
    TestSender sender(copa);
    sender.fill_window();
    sender.advance(kBase);
    sender.ack(1, kBase);
    sender.advance(Duration::from_ms(1));
    sender.ack(1, kBase + Duration::from_us(us));  // the standing RTT is still the first
    EXPECT_EQ(copa.in_slow_start(), us <= 10'000) << us;
  }
}

TEST_F(CopaTest, EachAcknowledgedPacketMovesTheWindowByItsShareOfVelocityOverDelta) {
  leave_slow_start();
  EXPECT_EQ(copa_.velocity(), 1);
  const double before = window();
  sender_.ack(3, kQueued);
  EXPECT_EQ(window(), before - std::floor(3 * 1252.0 * 1252.0 / (0.5 * before)));
  const double low = window();
  sender_.ack(2, kBase);
  EXPECT_EQ(window(), low + std::floor(2 * 1252.0 * 1252.0 / (0.5 * low)));
}

TEST(Copa, DeltaScalesTheStep) {
  CopaConfig config;
  config.delta = 0.05;
  Copa copa(config, WindowLimits{});
  TestSender sender(copa);
  sender.fill_window();
  sender.advance(kBase);
  sender.ack(1, kBase);
  sender.advance(kBase);
  sender.ack(1, Duration::from_ms(1000));
  EXPECT_EQ(copa.congestion_window(), kPacket * 8);  // 20 packets over a window of 10
}

// Looks at the direction come once a smoothed RTT, which trails the 100 ms of these rounds; the first look
// only sets it, the third that finds it unchanged doubles.
TEST_F(CopaTest, TheVelocityDoublesOnceTheDirectionHasHeldForThreeRounds) {
  leave_slow_start_high();
  std::vector<double> velocities;
  for (int i = 0; i < 8; ++i) {
    sender_.advance(kQueued);
    sender_.ack(1, kQueued);
    velocities.push_back(copa_.velocity());
  }
  EXPECT_EQ(velocities, (std::vector<double>{1, 1, 1, 2, 4, 8, 16, 32}));
}

TEST_F(CopaTest, TheVelocityMultipliesTheStep) {
  leave_slow_start_high();
  for (int i = 0; i < 6; ++i) {
    sender_.advance(kQueued);
    sender_.ack(1, kQueued);
  }
  ASSERT_EQ(copa_.velocity(), 8);
  const double before = window();
  sender_.ack(1, kQueued);
  EXPECT_EQ(window(), before - std::floor(8 * 1252.0 * 1252.0 / (0.5 * before)));
}

TEST_F(CopaTest, TurningRoundResetsTheVelocityAtOnce) {
  leave_slow_start_high();
  for (int i = 0; i < 6; ++i) {
    sender_.advance(kQueued);
    sender_.ack(1, kQueued);
  }
  ASSERT_EQ(copa_.velocity(), 8);
  const double before = window();
  sender_.ack(1, kBase);
  EXPECT_EQ(copa_.velocity(), 1);
  EXPECT_EQ(window(), before + std::floor(1252.0 * 1252.0 / (0.5 * before)));
}

TEST_F(CopaTest, LossesLeaveTheWindowAndPersistentCongestionFallsToTheMinimum) {
  sender_.fill_window();
  sender_.lose(4);
  EXPECT_EQ(copa_.congestion_window(), kPacket * 10);
  EXPECT_TRUE(copa_.in_slow_start());
  sender_.lose(4, /*persistent=*/true);
  EXPECT_EQ(copa_.congestion_window(), kPacket * 2);
}

TEST(Copa, NeverBelowTheMinimumHoweverLongTheQueueStands) {
  CopaConfig config;
  config.delta = 2;  // targets half a packet a delay
  config.min_rtt_window = Duration::from_ms(1'000'000);
  Copa copa(config, WindowLimits{});
  TestSender sender(copa);
  sender.fill_window();
  sender.round(kBase);
  for (int i = 0; i < 200; ++i) sender.round(Duration::from_ms(400));
  EXPECT_EQ(copa.congestion_window(), kPacket * 2);
  EXPECT_EQ(copa.velocity(), 1 << 30);
  sender.ack(1, kBase);
  EXPECT_EQ(copa.congestion_window(), kPacket * 2 + ByteCount(1252 / 4));
}

TEST(Copa, NeverAboveTheMaximum) {
  WindowLimits limits;
  limits.maximum_packets = 33;
  Copa copa(CopaConfig{}, limits);
  TestSender sender(copa);
  sender.fill_window();
  for (int i = 0; i < 10; ++i) {
    sender.round(kBase);
    sender.advance(Duration::from_ms(1));
  }
  EXPECT_EQ(copa.congestion_window(), kPacket * 33);
  // Out of slow start and back up again.
  sender.ack(1, Duration::from_ms(500));
  EXPECT_LT(copa.congestion_window(), kPacket * 33);
  for (int i = 0; i < 40; ++i) sender.round(kBase);
  EXPECT_EQ(copa.congestion_window(), kPacket * 33);
}

// The minimum is of the last ten seconds: until then, a longer path is taken for a queue, and its window for
// the one whose rate is two packets a delay of 50 ms.
TEST_F(CopaTest, ForgetsAMinimumRttAfterItsWindow) {
  leave_slow_start();
  sender_.fill_window();
  const TimePoint start = sender_.now();
  while (sender_.now() - start < Duration::from_ms(9'500)) {
    sender_.round(kQueued, 1);
    ASSERT_LT(copa_.congestion_window(), kPacket * 11);
  }
  EXPECT_NEAR(window() / 1252, 4.0, 1.5);
  while (sender_.now() - start < Duration::from_ms(11'000)) sender_.round(kQueued, 1);
  EXPECT_GT(copa_.congestion_window(), kPacket * 20);
}

// An ACK that was held back is a queue to mvfst's Copa, and none to the standing RTT.
TEST(Copa, TheStandingRttLooksPastOneLateAck) {
  for (const bool standing : {false, true}) {
    CopaConfig config;
    config.standing_rtt = standing;
    Copa copa(config, WindowLimits{});
    TestSender sender(copa);
    sender.fill_window();
    sender.advance(kBase);
    sender.ack(1, kBase);
    sender.advance(Duration::from_ms(10));
    sender.ack(1, kQueued);
    EXPECT_EQ(copa.in_slow_start(), standing);
  }
}

TEST(Copa, WithTheStandingRttTheVelocityWaitsAnotherRound) {
  CopaConfig config;
  config.standing_rtt = true;
  Copa copa(config, WindowLimits{});
  TestSender sender(copa);
  sender.fill_window();
  for (int i = 0; i < 8; ++i) {
    sender.round(kBase);
    sender.advance(Duration::from_ms(1));
  }
  std::vector<double> velocities;
  for (int i = 0; i < 8; ++i) {
    sender.advance(kQueued);
    sender.ack(1, kQueued);
    velocities.push_back(copa.velocity());
  }
  EXPECT_EQ(velocities, (std::vector<double>{1, 1, 1, 1, 1, 2, 4, 8}));
}

// The standing RTT is the least of half a smoothed RTT. Over 50 ms the window of ten packets is too fast for
// a delay of 11 ms (200 packets a second against 182), over 61 ms it is not (164).
TEST(Copa, TheStandingRttLastsHalfASmoothedRtt) {
  for (const int pause_ms : {20, 30}) {
    Copa copa(CopaConfig{}, WindowLimits{});
    TestSender sender(copa);
    sender.fill_window();
    sender.advance(kBase);
    sender.ack(1, kBase);
    sender.advance(Duration::from_ms(pause_ms));
    sender.ack(1, kBase + Duration::from_ms(11));
    EXPECT_EQ(copa.in_slow_start(), pause_ms == 30);
  }
}

TEST(Copa, PacesTwoWindowsARoundTrip) {
  const Copa copa(CopaConfig{}, WindowLimits{});
  EXPECT_TRUE(copa.wants_pacing());
  EXPECT_EQ(copa.pacing_gain(), 2.0);
  EXPECT_FALSE(copa.pacing_rate().has_value());
}

TEST(Copa, RefusesBadConfigurationByName) {
  const auto refused = [](auto change) { return refusal<Copa, CopaConfig>(change); };
  EXPECT_EQ(refused([](CopaConfig& c) { c.delta = 0; }), "copa delta must be positive");
  EXPECT_EQ(refused([](CopaConfig& c) { c.delta = std::numeric_limits<double>::quiet_NaN(); }),
            "copa delta must be positive");
  EXPECT_EQ(refused([](CopaConfig& c) { c.min_rtt_window = Duration::zero(); }),
            "copa min_rtt_window must be positive");
  EXPECT_EQ(refused([](CopaConfig& c) { c.pacing_gain = -1; }), "copa pacing_gain must be positive");
}

}  // namespace
}  // namespace mvfstrl
