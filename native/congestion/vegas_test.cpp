#include "congestion/vegas.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "congestion/test_refusal.h"
#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr Duration kBase = Duration::from_ms(60);

class VegasTest : public ::testing::Test {
 protected:
  // Out of slow start by a loss: a window of 10 packets halved, in linear mode, the base RTT known.
  void enter_linear_mode() {
    sender_.fill_window();
    sender_.advance(kBase);
    sender_.ack(1, kBase);
    sender_.lose(1);
    ASSERT_FALSE(vegas_.in_slow_start());
    // What was in flight at the loss neither grows the window nor counts as a round.
    sender_.ack(8, kBase);
    sender_.fill_window();
  }
  // The RTT at which `packets` of the window stand in the queue: window (1 - base / rtt) = packets.
  Duration rtt_with_queue(double packets) const { return kBase.scaled(1 / (1 - packets / this->packets())); }
  double packets() const {
    return static_cast<double>(vegas_.congestion_window().value()) / static_cast<double>(kPacket.value());
  }

  Vegas vegas_{VegasConfig{}, WindowLimits{}};
  TestSender sender_{vegas_};
};

TEST_F(VegasTest, SlowStartDoublesEveryOtherRoundTrip) {
  sender_.fill_window();
  std::vector<double> windows;
  for (int i = 0; i < 6; ++i) {
    sender_.round(kBase);
    windows.push_back(packets());
  }
  EXPECT_EQ(windows, (std::vector<double>{20, 20, 40, 40, 80, 80}));
}

TEST_F(VegasTest, SlowStartEndsOnceAStandingRoundHasMoreThanGammaInTheQueue) {
  sender_.fill_window();
  sender_.round(kBase);
  sender_.round(kBase);
  // Doubling: a queue now is of the doubling's own making.
  sender_.round(kBase * 2);
  ASSERT_TRUE(vegas_.in_slow_start());
  ASSERT_EQ(packets(), 40);
  const Duration rtt = rtt_with_queue(1.5);
  sender_.round(rtt);  // judged by the first ACK of the round after it
  sender_.advance(rtt);
  sender_.ack(1, rtt);
  EXPECT_FALSE(vegas_.in_slow_start());
  EXPECT_NEAR(packets(), 40 - 1.5 + 1, 0.01);  // what the path holds, and one
}

TEST_F(VegasTest, SlowStartGoesOnWithLessThanGammaInTheQueue) {
  sender_.fill_window();
  for (int i = 0; i < 3; ++i) sender_.round(kBase);
  for (int i = 0; i < 3; ++i) sender_.round(rtt_with_queue(0.9));
  EXPECT_TRUE(vegas_.in_slow_start());
}

// Between alpha and beta the window rests; below it gains a packet a round trip, above it gives one back.
TEST_F(VegasTest, HoldsBetweenAlphaAndBetaPacketsInTheQueue) {
  enter_linear_mode();
  // A round is judged when the next one begins, so the first two still move by what came before.
  const auto change = [&](double queued) {
    for (int i = 0; i < 2; ++i) sender_.round(rtt_with_queue(queued));
    const double before = packets();
    sender_.round(rtt_with_queue(queued));
    return packets() - before;
  };
  for (int i = 0; i < 10; ++i) sender_.round(kBase);  // room for four packets of queue
  EXPECT_EQ(change(0.5), 1);
  EXPECT_EQ(change(1.8), 1);
  EXPECT_EQ(change(2.3), 0);
  EXPECT_EQ(change(3.6), 0);
  EXPECT_EQ(change(4.5), -1);
  EXPECT_EQ(change(8.0), -1);
}

TEST_F(VegasTest, JudgesARoundByItsLeastRtt) {
  enter_linear_mode();
  sender_.round(kBase);
  const std::int64_t in_flight = sender_.in_flight().value() / kPacket.value();
  sender_.advance(kBase);
  sender_.ack(1, kBase);  // begins a round
  const double before = packets();
  sender_.ack(in_flight - 1, kBase * 3);
  sender_.fill_window();
  sender_.advance(kBase);
  sender_.ack(1, kBase * 3);
  EXPECT_EQ(packets(), before + 1);
}

TEST_F(VegasTest, ARoundThatEndsInRecoveryIsNotJudged) {
  sender_.fill_window();
  sender_.advance(kBase);
  sender_.ack(1, kBase);
  sender_.fill_window();
  sender_.lose(1);
  const double cut = packets();
  sender_.ack(8, kBase);
  sender_.ack(1, kBase);  // sent after the round began, and before the cut
  EXPECT_EQ(packets(), cut);
}

TEST_F(VegasTest, AnAckHeldBackIsNoQueue) {
  enter_linear_mode();
  for (int i = 0; i < 10; ++i) sender_.round(kBase);
  const double before = packets();
  const Duration held = Duration::from_ms(25);
  for (int i = 0; i < 3; ++i) {
    sender_.advance(kBase + held);
    sender_.ack(sender_.window_packets(), kBase + held, held);
    sender_.fill_window();
  }
  EXPECT_EQ(packets(), before + 3);
}

TEST_F(VegasTest, HalvesOnceForAllLossesOfOneFlight) {
  sender_.fill_window();
  sender_.lose(1);
  EXPECT_EQ(packets(), 5);
  sender_.lose(3);
  EXPECT_EQ(packets(), 5);
  EXPECT_FALSE(vegas_.in_slow_start());
  sender_.ack(6, kBase);
  sender_.fill_window();
  sender_.lose(1);
  EXPECT_EQ(packets(), 2.5);
}

TEST_F(VegasTest, PersistentCongestionStartsAfreshFromTheMinimum) {
  sender_.fill_window();
  sender_.advance(kBase);
  sender_.lose(8, /*persistent=*/true);
  EXPECT_EQ(packets(), 2);
  EXPECT_TRUE(vegas_.in_slow_start());
  sender_.ack(2, kBase);  // sent before
  EXPECT_EQ(packets(), 2);
}

TEST_F(VegasTest, DoesNotGrowWhenTheApplicationIsTheLimit) {
  sender_.send(5, /*app_limited=*/true);
  sender_.advance(kBase);
  sender_.ack(5, kBase);
  EXPECT_EQ(packets(), 10);
}

TEST(Vegas, StaysWithinTheLimits) {
  WindowLimits limits;
  limits.maximum_packets = 13;
  Vegas vegas(VegasConfig{}, limits);
  TestSender sender(vegas);
  sender.fill_window();
  for (int i = 0; i < 5; ++i) sender.round(kBase);
  EXPECT_EQ(vegas.congestion_window(), kPacket * 13);
  for (int i = 0; i < 40; ++i) sender.round(kBase * 20);
  // All but a twentieth of the window stands in the queue. Slow start ends at the minimum of two packets, one
  // more makes alpha.
  EXPECT_EQ(vegas.congestion_window(), kPacket * 3);
}

TEST(Vegas, RefusesBadConfigurationByName) {
  const auto refused = [](auto change) { return refusal<Vegas, VegasConfig>(change); };
  EXPECT_EQ(refused([](VegasConfig& c) { c.alpha_packets = 0; }), "vegas alpha_packets must be positive");
  EXPECT_EQ(refused([](VegasConfig& c) { c.beta_packets = 1; }),
            "vegas beta_packets must be at least alpha_packets");
  EXPECT_EQ(refused([](VegasConfig& c) { c.gamma_packets = -1; }), "vegas gamma_packets must be positive");
  EXPECT_EQ(refused([](VegasConfig& c) { c.loss_factor = 1; }), "vegas loss_factor must lie between 0 and 1");
}

}  // namespace
}  // namespace mvfstrl
