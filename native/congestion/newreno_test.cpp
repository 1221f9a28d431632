#include "congestion/newreno.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr Duration kRtt = Duration::from_ms(60);

class NewRenoTest : public ::testing::TestWithParam<NewRenoFlavour> {
 protected:
  static NewRenoConfig config() {
    NewRenoConfig c;
    c.flavour = GetParam();
    return c;
  }
  NewReno reno_{config(), WindowLimits{}};
  TestSender sender_{reno_};
};

INSTANTIATE_TEST_SUITE_P(Flavours, NewRenoTest,
                         ::testing::Values(NewRenoFlavour::kMvfst, NewRenoFlavour::kRfc9002));

TEST_P(NewRenoTest, StartsWithTenPacketsInSlowStart) {
  EXPECT_EQ(reno_.congestion_window(), kPacket * 10);
  EXPECT_TRUE(reno_.in_slow_start());
}

TEST_P(NewRenoTest, SlowStartAddsEveryAcknowledgedByte) {
  sender_.fill_window();
  sender_.ack(4, kRtt);
  EXPECT_EQ(reno_.congestion_window(), kPacket * 14);
}

TEST_P(NewRenoTest, HalvesOnceForAllLossesOfOneFlight) {
  sender_.fill_window();
  sender_.advance(kRtt);
  sender_.lose(1);
  EXPECT_EQ(reno_.congestion_window(), kPacket * 5);
  EXPECT_FALSE(reno_.in_slow_start());
  sender_.lose(2);
  EXPECT_EQ(reno_.congestion_window(), kPacket * 5);
}

TEST_P(NewRenoTest, PacketsSentBeforeTheCutDoNotGrowTheWindow) {
  sender_.fill_window();
  sender_.advance(kRtt);
  sender_.lose(1);
  sender_.ack(9, kRtt);
  EXPECT_EQ(reno_.congestion_window(), kPacket * 5);
}

// On a virtual clock the reaction leaves at the very instant of the loss event; numbers keep them apart.
TEST_P(NewRenoTest, PacketsSentAtTheInstantOfTheCutCountAsAfterIt) {
  sender_.fill_window();
  sender_.advance(kRtt);
  sender_.lose_and_ack(1, 9, kRtt);
  const ByteCount after_cut = reno_.congestion_window();
  sender_.fill_window();
  sender_.advance(kRtt);
  sender_.ack(1, kRtt);
  EXPECT_GT(reno_.congestion_window(), after_cut);
  sender_.lose(1);
  EXPECT_LT(reno_.congestion_window(), after_cut);
}

TEST_P(NewRenoTest, CongestionAvoidanceAddsAboutOnePacketARoundTrip) {
  sender_.fill_window();
  sender_.advance(kRtt);
  sender_.lose_and_ack(1, 9, kRtt);
  sender_.fill_window();
  const double before = static_cast<double>(reno_.congestion_window().value());
  constexpr int kRounds = 20;
  for (int i = 0; i < kRounds; ++i) sender_.round(kRtt);
  const double grown = (static_cast<double>(reno_.congestion_window().value()) - before) / kRounds;
  // Growth is judged by the window at each ACK, so a round adds slightly less than a segment.
  EXPECT_NEAR(grown, 1240.0, 100.0);
}

TEST_P(NewRenoTest, NeverBelowTwoPackets) {
  for (int i = 0; i < 4; ++i) {  // 10, 5, 2.5, 2
    sender_.fill_window();
    sender_.advance(kRtt);
    sender_.lose((sender_.in_flight().value() + 1251) / 1252);
  }
  EXPECT_EQ(reno_.congestion_window(), kPacket * 2);
}

TEST_P(NewRenoTest, PersistentCongestionFallsToTheMinimum) {
  sender_.fill_window();
  sender_.advance(kRtt);
  sender_.lose(10, /*persistent=*/true);
  EXPECT_EQ(reno_.congestion_window(), kPacket * 2);
}

TEST(NewRenoMvfst, AddsByTheDefaultSendSizeWhateverThePacketSize) {
  NewReno reno(NewRenoConfig{}, WindowLimits{});
  TestSender sender(reno);
  sender.fill_window();
  sender.advance(kRtt);
  sender.lose_and_ack(1, 9, kRtt);
  sender.fill_window();
  sender.ack(1, kRtt);
  EXPECT_EQ(reno.congestion_window(), kPacket * 5 + ByteCount(1232 * 1252 / (5 * 1252)));
}

TEST(NewRenoMvfst, GrowsEvenIfTheApplicationIsTheLimit) {
  NewReno reno(NewRenoConfig{}, WindowLimits{});
  TestSender sender(reno);
  sender.send(2, /*app_limited=*/true);
  sender.ack(2, kRtt);
  EXPECT_EQ(reno.congestion_window(), kPacket * 12);
}

// RFC 9002 section 7.8: a window that is not used must not grow.
TEST(NewRenoRfc9002, DoesNotGrowWhenTheApplicationIsTheLimit) {
  NewRenoConfig config;
  config.flavour = NewRenoFlavour::kRfc9002;
  NewReno reno(config, WindowLimits{});
  TestSender sender(reno);
  sender.send(2, /*app_limited=*/true);
  sender.ack(2, kRtt);
  EXPECT_EQ(reno.congestion_window(), kPacket * 10);
}

// RFC 9002 appendix B.8 ends recovery at persistent congestion, mvfst does not.
TEST(NewRenoRfc9002, PersistentCongestionEndsRecovery) {
  for (const auto flavour : {NewRenoFlavour::kRfc9002, NewRenoFlavour::kMvfst}) {
    NewRenoConfig config;
    config.flavour = flavour;
    NewReno reno(config, WindowLimits{});
    TestSender sender(reno);
    sender.fill_window();
    sender.advance(kRtt);
    sender.lose(5, /*persistent=*/true);
    sender.ack(2, kRtt);
    EXPECT_EQ(reno.congestion_window() > kPacket * 2, flavour == NewRenoFlavour::kRfc9002);
  }
}

TEST(NewRenoConfig, RefusesANonPositiveIncrease) {
  NewRenoConfig config;
  config.additive_increase = ByteCount(0);
  EXPECT_THROW(NewReno(config, WindowLimits{}), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
