#include "congestion/cubic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr Duration kRtt = Duration::from_ms(60);
constexpr Duration kMs = Duration::from_ms(1);

CubicConfig with(CubicFlavour flavour) {
  CubicConfig config;
  config.flavour = flavour;
  return config;
}

// A connection brought to a loss at a window of `packets` (slow start, HyStart off), all else acknowledged.
struct AfterLoss {
  AfterLoss(CubicConfig config, std::int64_t packets) : cubic(off(config), WindowLimits{}), sender(cubic) {
    sender.fill_window();
    while (sender.window_packets() < packets) {
      sender.ack(std::min<std::int64_t>(10, packets - sender.window_packets()), kRtt);
      sender.fill_window();
    }
    sender.advance(kRtt);
    window_at_loss = cubic.congestion_window();
    sender.lose_and_ack(1, packets - 1, kRtt);
    reduction = sender.now();
  }
  static CubicConfig off(CubicConfig config) {
    config.hystart = false;
    return config;
  }
  Cubic cubic;
  TestSender sender;
  ByteCount window_at_loss;
  TimePoint reduction;
};

// The curve re-derived in packets and seconds from the paper: W(t) = C (t - K)^3 + W_max, K = cbrt((W_max -
// W) / C).
double curve_packets(double w_max, double w_start, double seconds) {
  const double k = std::cbrt((w_max - w_start) / 0.4);
  return 0.4 * std::pow(seconds - k, 3.0) + w_max;
}

TEST(CubicMvfst, SlowStartAddsEveryAcknowledgedByte) {
  Cubic cubic(CubicConfig{}, WindowLimits{});
  TestSender sender(cubic);
  sender.fill_window();
  sender.ack(10, kRtt);
  EXPECT_EQ(cubic.congestion_window(), kPacket * 20);
  EXPECT_EQ(cubic.state(), Cubic::State::kHystart);
  EXPECT_EQ(cubic.pacing_gain(), 2.0);
}

TEST(CubicMvfst, HystartLeavesSlowStartWhenARoundsLeastRttHasRisen) {
  Cubic cubic(CubicConfig{}, WindowLimits{});
  TestSender sender(cubic);
  sender.fill_window();
  sender.round(kRtt, 1);  // first round: samples 60 ms
  sender.round(kRtt, 1);
  ASSERT_EQ(cubic.state(), Cubic::State::kHystart);
  // 60/16 ms is below the lower bound: the rise must be 4 ms.
  sender.round(kRtt + kMs * 3, 1);
  sender.round(kRtt + kMs * 3, 1);
  EXPECT_EQ(cubic.state(), Cubic::State::kHystart);
  sender.round(kRtt + kMs * 12, 1);
  sender.round(kRtt + kMs * 12, 1);
  EXPECT_EQ(cubic.state(), Cubic::State::kSteady);
  EXPECT_TRUE(cubic.ssthresh().has_value());
}

TEST(CubicMvfst, HystartDoesNotJudgeBeforeEightSamples) {
  Cubic cubic(CubicConfig{}, WindowLimits{});
  TestSender sender(cubic);
  sender.send(40);
  sender.ack(8, kRtt);
  for (int i = 0; i < 8; ++i) sender.ack(1, kRtt);
  sender.send(60);
  // An ACK of the second flight ends the first round, the next begins the second.
  sender.ack(25, kRtt);
  for (int i = 0; i < 7; ++i) sender.ack(1, kRtt * 2);
  EXPECT_EQ(cubic.state(), Cubic::State::kHystart);
  sender.ack(1, kRtt * 2);
  EXPECT_EQ(cubic.state(), Cubic::State::kSteady);
}

TEST(CubicMvfst, LossCutsToSeventyPercentOnceAFlight) {
  AfterLoss story(CubicConfig{}, 100);
  EXPECT_EQ(story.window_at_loss, kPacket * 100);
  EXPECT_NEAR(static_cast<double>(story.cubic.congestion_window().value()), 0.7 * 100 * 1252, 1.0);
  EXPECT_EQ(story.cubic.state(), Cubic::State::kRecovery);
  EXPECT_EQ(story.cubic.pacing_gain(), 1.25);
}

TEST(CubicMvfst, TheLastPacketSentBeforeTheCutDoesNotCutAgain) {
  Cubic cubic(CubicConfig{}, WindowLimits{});
  TestSender sender(cubic);
  sender.fill_window();
  sender.advance(kRtt);
  sender.lose(1);
  const ByteCount window = cubic.congestion_window();
  sender.lose(9);
  EXPECT_EQ(cubic.congestion_window(), window);
}

TEST(CubicMvfst, RecoveryEndsWithTheFirstPacketSentAfterTheCut) {
  AfterLoss story(CubicConfig{}, 100);
  story.sender.fill_window();
  story.sender.advance(kRtt);
  story.sender.ack(1, kRtt);
  EXPECT_EQ(story.cubic.state(), Cubic::State::kSteady);
}

TEST(CubicMvfst, FollowsTheCurveOfThePaper) {
  CubicConfig config;
  config.tcp_friendly = false;
  AfterLoss story(config, 100);
  for (int i = 0; i < 150; ++i) {
    story.sender.fill_window();
    story.sender.round(kRtt);
    const double seconds = (story.sender.now() - story.reduction).to_seconds();
    const double expected = curve_packets(100.0, 70.0, seconds);
    // One byte of rounding here, a byte in mvfst's reduction, none in time: rounds are whole milliseconds.
    EXPECT_NEAR(static_cast<double>(story.cubic.congestion_window().value()) / 1252.0, expected, 0.01)
        << seconds;
  }
  EXPECT_GT(story.sender.window_packets(), 110);  // past the origin, in the convex part
}

TEST(CubicMvfst, IsNeverSlowerThanRenoWouldBe) {
  AfterLoss story(CubicConfig{}, 20);
  CubicConfig config;
  config.tcp_friendly = false;
  AfterLoss alone(config, 20);
  for (int i = 0; i < 30; ++i) {
    story.sender.fill_window();
    story.sender.round(kRtt);
    alone.sender.fill_window();
    alone.sender.round(kRtt);
  }
  // 3 (1 - 0.7) / (1 + 0.7) = 0.53 packets a round trip from 14 packets: 30 rounds give 16 packets.
  EXPECT_NEAR(static_cast<double>(story.sender.window_packets()), 14.0 + 0.53 * 30, 2.0);
  EXPECT_LT(alone.sender.window_packets(), story.sender.window_packets());
}

TEST(CubicMvfst, LossBelowTheLastMaximumLowersItFurther) {
  CubicConfig config;
  config.tcp_friendly = false;
  AfterLoss story(config, 100);
  story.sender.fill_window();
  story.sender.round(kRtt);
  const auto window = static_cast<double>(story.cubic.congestion_window().value()) / 1252.0;
  ASSERT_LT(window, 100.0);
  story.sender.lose_and_ack(1, 60, kRtt);
  const TimePoint reduction = story.sender.now();
  for (int i = 0; i < 20; ++i) {
    story.sender.fill_window();
    story.sender.round(kRtt);
  }
  const double seconds = (story.sender.now() - reduction).to_seconds();
  const double expected = curve_packets(0.85 * window, 0.7 * window, seconds);
  EXPECT_NEAR(static_cast<double>(story.cubic.congestion_window().value()) / 1252.0, expected, 0.02);
}

TEST(CubicMvfst, SilenceOfTheApplicationDoesNotAdvanceTheCurve) {
  CubicConfig config;
  config.tcp_friendly = false;
  AfterLoss story(config, 100);
  story.sender.fill_window();
  story.sender.round(kRtt);
  const double before = (story.sender.now() - story.reduction).to_seconds();
  story.cubic.set_app_idle(true, story.sender.now());
  story.sender.advance(Duration::from_ms(10'000));
  story.cubic.set_app_idle(false, story.sender.now());
  story.sender.ack(1, kRtt);
  EXPECT_NEAR(static_cast<double>(story.cubic.congestion_window().value()) / 1252.0,
              curve_packets(100.0, 70.0, before), 0.02);
}

TEST(CubicMvfst, DoesNotGrowWhileTheApplicationIsIdle) {
  AfterLoss story(CubicConfig{}, 100);
  story.sender.fill_window();
  story.sender.round(kRtt);
  const ByteCount window = story.cubic.congestion_window();
  story.cubic.set_app_idle(true, story.sender.now());
  story.sender.advance(Duration::from_ms(3'000));
  story.sender.ack(20, kRtt);
  EXPECT_EQ(story.cubic.congestion_window(), window);
}

TEST(CubicMvfst, PersistentCongestionGoesBackToSlowStart) {
  AfterLoss story(CubicConfig{}, 100);
  story.sender.fill_window();
  story.sender.advance(kRtt);
  const ByteCount before = story.cubic.congestion_window();
  story.sender.lose(10, /*persistent=*/true);
  EXPECT_EQ(story.cubic.congestion_window(), kPacket * 2);
  EXPECT_EQ(story.cubic.state(), Cubic::State::kHystart);
  // First the cut to 70 %, then half of that is the threshold.
  EXPECT_NEAR(static_cast<double>(story.cubic.ssthresh()->value()),
              0.35 * static_cast<double>(before.value()), 2.0);
}

TEST(CubicMvfst, LeavesSlowStartAtTheThreshold) {
  AfterLoss story(CubicConfig{}, 40);
  story.sender.fill_window();
  story.sender.advance(kRtt);
  story.sender.lose(28, /*persistent=*/true);
  story.sender.send(20);
  story.sender.advance(kRtt);
  story.sender.ack(7, kRtt);
  EXPECT_EQ(story.cubic.state(), Cubic::State::kHystart);  // 2 + 7 = 9 packets, threshold 9.8
  story.sender.ack(1, kRtt);
  EXPECT_EQ(story.cubic.state(), Cubic::State::kSteady);
}

TEST(CubicRfc9438, SlowStartHasNoDelayExit) {
  Cubic cubic(with(CubicFlavour::kRfc9438), WindowLimits{});
  TestSender sender(cubic);
  sender.fill_window();
  for (int i = 0; i < 4; ++i) sender.round(kRtt * (i + 1), 1);
  EXPECT_EQ(cubic.state(), Cubic::State::kHystart);
}

// Section 4.2: the target is the curve a round trip ahead, approached over a round trip: in the mean the
// window is on the curve between now and a round trip ahead.
TEST(CubicRfc9438, StaysBetweenTheCurveNowAndARoundTripAhead) {
  CubicConfig config = with(CubicFlavour::kRfc9438);
  config.tcp_friendly = false;
  AfterLoss story(config, 200);
  for (int i = 0; i < 100; ++i) {
    story.sender.fill_window();
    story.sender.round(kRtt, 2);
    if (i < 3) continue;  // it starts below: the first round belongs to recovery
    const double seconds = (story.sender.now() - story.reduction).to_seconds();
    const double window = static_cast<double>(story.cubic.congestion_window().value()) / 1252.0;
    EXPECT_GT(window, curve_packets(200.0, 140.0, seconds) - 4.0) << seconds;
    EXPECT_LT(window, curve_packets(200.0, 140.0, seconds + 0.06) + 1.0) << seconds;
  }
  EXPECT_GT(story.sender.window_packets(), 195);
}

// Section 4.7: fast convergence lowers the maximum to W (1 + beta) / 2.
TEST(CubicRfc9438, FastConvergence) {
  CubicConfig config = with(CubicFlavour::kRfc9438);
  config.tcp_friendly = false;
  AfterLoss story(config, 100);
  story.sender.fill_window();
  story.sender.round(kRtt);
  const double window = static_cast<double>(story.cubic.congestion_window().value()) / 1252.0;
  ASSERT_LT(window, 100.0);
  story.sender.lose_and_ack(1, 60, kRtt);
  for (int i = 0; i < 200 && story.sender.window_packets() < 60; ++i) {
    story.sender.fill_window();
    story.sender.round(kRtt, 2);
  }
  // K after this cut, from W_max = 0.85 W and a start of 0.7 W: about the plateau at 0.85 W.
  const double plateau = 0.85 * window;
  EXPECT_NEAR(static_cast<double>(story.sender.window_packets()), plateau, 4.0);
}

// Section 4.3: once past the window of the last cut, the estimate grows by one packet a round trip, not by
// 0.53.
TEST(CubicRfc9438, RenoEstimateSpeedsUpPastThePriorWindow) {
  AfterLoss story(with(CubicFlavour::kRfc9438), 12);
  std::int64_t previous = story.sender.window_packets();
  std::int64_t at_prior = 0;
  int rounds = 0;
  for (; rounds < 60 && story.sender.window_packets() < 30; ++rounds) {
    story.sender.fill_window();
    story.sender.round(Duration::from_ms(10), 2);
    if (at_prior == 0 && story.sender.window_packets() >= 12) at_prior = rounds;
    previous = story.sender.window_packets();
  }
  // 8.4 to 12 packets at 0.53 a round: about 7 rounds; 12 to 30 at 1 a round: about 18.
  EXPECT_NEAR(static_cast<double>(at_prior), 7.0, 3.0);
  EXPECT_NEAR(static_cast<double>(rounds) - static_cast<double>(at_prior), 18.0, 4.0);
  EXPECT_GE(previous, 30);
}

// Section 4.6: what is cut is the flight, if the application left it below the window.
TEST(CubicRfc9438, CutsTheFlightNotTheUnusedWindow) {
  Cubic cubic(with(CubicFlavour::kRfc9438), WindowLimits{});
  TestSender sender(cubic);
  sender.send(6);
  sender.advance(kRtt);
  sender.lose(1);
  EXPECT_NEAR(static_cast<double>(cubic.congestion_window().value()), 0.7 * 6 * 1252, 1.0);
}

TEST(CubicConfig, RefusesBadParametersByName) {
  const auto message = [](auto change) {
    CubicConfig config;
    change(config);
    try {
      Cubic cubic(config, WindowLimits{});
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message([](CubicConfig& c) { c.beta = 1.0; }).find("beta"), std::string::npos);
  EXPECT_NE(message([](CubicConfig& c) { c.c = 0.0; }).find("cubic c "), std::string::npos);
  EXPECT_NE(message([](CubicConfig& c) { c.hystart_samples = 0; }).find("hystart_samples"),
            std::string::npos);
  EXPECT_NE(
      message([](CubicConfig& c) { c.hystart_delay_low = Duration::from_ms(17); }).find("hystart_delay_low"),
      std::string::npos);
}

}  // namespace
}  // namespace mvfstrl
