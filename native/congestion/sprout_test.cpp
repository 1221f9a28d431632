#include "congestion/sprout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr Duration kRtt = Duration::from_ms(40);
// Above the smallest RTT by more than a tick: the link had a queue.
constexpr Duration kQueuedRtt = Duration::from_ms(90);

Bandwidth packets_a_tick(double packets) { return Bandwidth::from_bps(packets * 1252 * 8 / 20e-3); }

class SproutTest : public ::testing::Test {
 protected:
  // `ticks` ticks of the link in which an ACK acknowledges `packets` at the end of each.
  void deliver(int ticks, std::int64_t packets, Duration rtt = kQueuedRtt) {
    for (; ticks > 0; --ticks) {
      sender_.advance(Duration::from_ms(20));
      sender_.ack(packets, rtt);
      sender_.send(packets);
    }
  }

  Sprout sprout_{SproutConfig{}, WindowLimits{}};
  TestSender sender_{sprout_};
};

TEST_F(SproutTest, StartsWithTheInitialWindow) {
  EXPECT_EQ(sprout_.congestion_window(), kPacket * 10);
  EXPECT_DOUBLE_EQ(sprout_.rate().bps(), packets_a_tick(2).bps());
}

TEST_F(SproutTest, TheFirstAckOnlyOpensATick) {
  sender_.fill_window();
  sender_.advance(kRtt);
  sender_.ack(5, kRtt);
  EXPECT_EQ(sprout_.congestion_window(), kPacket * 10);
}

TEST_F(SproutTest, AveragesTickByTick) {
  sender_.send(40);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);
  const double start = packets_a_tick(2).bps();
  deliver(1, 10);
  EXPECT_NEAR(sprout_.rate().bps(), start + (packets_a_tick(10).bps() - start) / 8, 1);
  deliver(1, 10);
  EXPECT_NEAR(sprout_.rate().bps(), packets_a_tick(10).bps() * (1 - 49.0 / 64) + start * 49.0 / 64, 1);
}

TEST_F(SproutTest, TheWindowIsWhatTheRateCarriesInFiveTicks) {
  sender_.send(40);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);
  deliver(200, 10);
  EXPECT_NEAR(sprout_.rate().bps(), packets_a_tick(10).bps(), 1);
  EXPECT_NEAR(static_cast<double>(sprout_.congestion_window().value()), 50 * 1252.0, 1);
}

TEST_F(SproutTest, AcksWithinATickAreOneObservation) {
  sender_.send(40);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);
  const ByteCount before = sprout_.congestion_window();
  for (int i = 0; i < 3; ++i) {
    sender_.advance(Duration::from_ms(5));
    sender_.ack(4, kQueuedRtt);
    EXPECT_EQ(sprout_.congestion_window(), before);
  }
  sender_.advance(Duration::from_ms(5));
  sender_.ack(4, kQueuedRtt);
  const double start = packets_a_tick(2).bps();
  EXPECT_NEAR(sprout_.rate().bps(), start + (packets_a_tick(16).bps() - start) / 8, 1);
}

// The link stood still for ten ticks, though packets were waiting: as ten observations of little.
TEST_F(SproutTest, AnOutageCountsForEachOfItsTicks) {
  sender_.send(60);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);
  deliver(50, 10);
  const double before = sprout_.rate().bps();
  sender_.advance(Duration::from_ms(200));
  sender_.ack(1, Duration::from_ms(290));
  const double observed = packets_a_tick(0.1).bps();
  EXPECT_NEAR(sprout_.rate().bps(), observed + (before - observed) * std::pow(0.875, 10), 1);
}

// Ten packets, silence for longer than a tick, ten packets: the link was idle because nobody sent.
TEST_F(SproutTest, ASilenceOfTheSenderIsNotBlamedOnTheLink) {
  sender_.send(10);
  sender_.advance(kRtt);
  sender_.ack(10, kRtt);
  const double before = sprout_.rate().bps();
  sender_.advance(Duration::from_ms(500));
  sender_.send(10);
  sender_.advance(kRtt);
  sender_.ack(10, kRtt);
  EXPECT_GE(sprout_.rate().bps(), before);
}

// Ten packets came within a tick: the link carries that much at least, and so the window may grow.
TEST_F(SproutTest, AShortFlightIsALowerBound) {
  sender_.send(10);
  sender_.advance(kRtt);
  sender_.ack(10, kRtt);
  sender_.advance(kRtt);
  sender_.send(1);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);  // ends the flight of ten
  const double start = packets_a_tick(2).bps();
  const double raised = start + (packets_a_tick(10).bps() - start) / 8;
  EXPECT_NEAR(sprout_.rate().bps(), raised, 1);
  sender_.advance(kRtt);
  sender_.send(1);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);  // ends the flight of one, which lowers nothing
  EXPECT_NEAR(sprout_.rate().bps(), raised, 1);
}

// A slow link: its ACKs, and so what they let go, come more than a tick apart, but a queue stood all the
// time.
TEST_F(SproutTest, APauseBehindAQueueIsTheLinks) {
  sender_.send(8);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);
  for (int i = 0; i < 200; ++i) {
    sender_.advance(Duration::from_ms(50));
    sender_.ack(1, kQueuedRtt);
    sender_.send(1);
  }
  EXPECT_NEAR(sprout_.rate().bps(), packets_a_tick(0.4).bps(), 1);
}

TEST_F(SproutTest, LossesDoNotMoveTheWindow) {
  sender_.fill_window();
  sender_.advance(kRtt);
  const ByteCount before = sprout_.congestion_window();
  sender_.lose(5);
  EXPECT_EQ(sprout_.congestion_window(), before);
}

TEST_F(SproutTest, NeverBelowTwoPackets) {
  sender_.send(60);
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);
  for (int i = 0; i < 20; ++i) {
    sender_.advance(Duration::from_ms(1000));
    sender_.ack(1, Duration::from_ms(2000));
  }
  EXPECT_EQ(sprout_.congestion_window(), kPacket * 2);
}

TEST(SproutConfig, RefusesBadValuesByName) {
  SproutConfig config;
  config.gain = 0;
  EXPECT_THROW(Sprout(config, WindowLimits{}), std::invalid_argument);
  config = {};
  config.tick = Duration::zero();
  EXPECT_THROW(Sprout(config, WindowLimits{}), std::invalid_argument);
  config = {};
  config.horizon = Duration::from_ms(19);
  EXPECT_THROW(Sprout(config, WindowLimits{}), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
