#include "transport/receiver.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "common/rng.h"

namespace mvfstrl {
namespace {

constexpr Duration kMs = Duration::from_ms(1);
constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }

// Without a handshake, so that only the data policy shows.
TransportConfig data_only() {
  TransportConfig config;
  config.handshake_packets = 0;
  return config;
}

struct Fixture {
  explicit Fixture(TransportConfig config = data_only(), Duration rtt = Duration::from_ms(60))
      : receiver(config, rtt) {}
  void receive(TimePoint now, std::uint64_t first, std::uint64_t last) {
    for (; first <= last; ++first) receiver.on_packet(now, first);
  }
  Receiver receiver;
  AckFrame frame;
};

TEST(Receiver, TenthPacketMakesAnAckDueAtOnce) {
  Fixture f;
  f.receive(at(0), 0, 8);
  EXPECT_FALSE(f.receiver.take_ack(at(0), f.frame));
  f.receive(at(1), 9, 9);
  EXPECT_EQ(f.receiver.next_timer(), at(1));
  ASSERT_TRUE(f.receiver.take_ack(at(1), f.frame));
  ASSERT_EQ(f.frame.ranges.size(), 1u);
  EXPECT_EQ(f.frame.ranges[0].first, 0u);
  EXPECT_EQ(f.frame.largest(), 9u);
  EXPECT_TRUE(f.receiver.next_timer().is_never());
  EXPECT_FALSE(f.receiver.take_ack(at(2), f.frame));
}

TEST(Receiver, PacketsOfOneBatchShareAnAckAndRestartTheCount) {
  Fixture f;
  f.receive(at(0), 0, 15);
  ASSERT_TRUE(f.receiver.take_ack(at(0), f.frame));
  EXPECT_EQ(f.frame.largest(), 15u);
  f.receive(at(1), 16, 24);
  EXPECT_FALSE(f.receiver.take_ack(at(1), f.frame));
}

// A quarter of 65 ms is 16.25, rounded up to 17; the wheel fires a tick later: 18 ms, as in the logs of real
// runs (scenario s17: packet at 477 ms, ACK at 495 ms).
TEST(Receiver, AckTimerIsAQuarterOfTheRttOnTheWheel) {
  Fixture f(data_only(), Duration::from_ms(65));
  f.receive(at(477), 0, 0);
  EXPECT_EQ(f.receiver.next_timer(), at(495));
  f.receive(at(480), 1, 1);
  EXPECT_EQ(f.receiver.next_timer(), at(495));  // later packets do not push it out
  EXPECT_FALSE(f.receiver.take_ack(at(494), f.frame));
  EXPECT_TRUE(f.receiver.take_ack(at(495), f.frame));
}

TEST(Receiver, AckTimerHasAFloorAndACeiling) {
  Fixture shortest(data_only(), Duration::zero());
  shortest.receive(at(0), 0, 0);
  EXPECT_EQ(shortest.receiver.next_timer(), at(2));
  Fixture longest(data_only(), Duration::from_ms(800));
  longest.receive(at(0), 0, 0);
  EXPECT_EQ(longest.receiver.next_timer(), at(26));
}

TEST(Receiver, TheRttOfTheHandshakeHoldsTheServersWork) {
  Fixture f(TransportConfig{}, Duration::from_ms(22));  // (22 + 4) / 4 = 6.5, 7 ms, and a tick
  f.receive(at(0), 0, 1);
  ASSERT_TRUE(f.receiver.take_ack(at(0), f.frame));
  f.receive(at(0), 2, 2);
  EXPECT_EQ(f.receiver.next_timer(), at(8));
}

TEST(Receiver, AGapMakesAnAckDueAtOnceAndOnlyOnce) {
  Fixture f;
  f.receive(at(0), 0, 2);
  f.receive(at(1), 4, 4);
  ASSERT_TRUE(f.receiver.take_ack(at(1), f.frame));
  ASSERT_EQ(f.frame.ranges.size(), 2u);
  EXPECT_EQ(f.frame.ranges[0].first, 4u);
  EXPECT_EQ(f.frame.ranges[1].last, 2u);
  f.receive(at(2), 5, 5);
  EXPECT_FALSE(f.receiver.take_ack(at(2), f.frame));
}

TEST(Receiver, ReorderingThresholdToleratesAGap) {
  TransportConfig config = data_only();
  config.ack_reordering = 1;
  Fixture f(config);
  f.receive(at(0), 0, 0);
  f.receive(at(0), 2, 2);
  EXPECT_FALSE(f.receiver.take_ack(at(0), f.frame));
  f.receive(at(0), 5, 5);
  EXPECT_TRUE(f.receiver.take_ack(at(0), f.frame));
}

TEST(Receiver, HandshakePacketsAreAcknowledgedAtOnce) {
  Fixture f(TransportConfig{});
  f.receive(at(0), 0, 1);
  ASSERT_TRUE(f.receiver.take_ack(at(0), f.frame));
  f.receive(at(1), 2, 2);
  EXPECT_FALSE(f.receiver.take_ack(at(1), f.frame));
}

// RFC 9000 section 13.2.5 and 19.3: the delay since the largest packet, in units of 2^3 us, rounded down.
TEST(Receiver, ReportsTheDelayOfTheLargestPacketInItsUnit) {
  Fixture f;
  f.receive(at(0), 0, 0);
  const TimePoint due = f.receiver.next_timer() + Duration::from_ns(12'345);
  ASSERT_TRUE(f.receiver.take_ack(due, f.frame));
  EXPECT_EQ(f.frame.ack_delay.ns() % 8'000, 0);
  EXPECT_LE(f.frame.ack_delay, due - at(0));
  EXPECT_GT(f.frame.ack_delay, due - at(0) - Duration::from_us(8));
}

TEST(Receiver, LatePacketsFillAndJoinRanges) {
  Fixture f;
  for (const std::uint64_t n : {0u, 4u, 8u, 6u, 2u, 3u, 1u}) f.receive(at(0), n, n);
  ASSERT_TRUE(f.receiver.take_ack(at(0), f.frame));
  ASSERT_EQ(f.frame.ranges.size(), 3u);
  EXPECT_EQ(f.frame.ranges[0].first, 8u);
  EXPECT_EQ(f.frame.ranges[1].first, 6u);
  EXPECT_EQ(f.frame.ranges[2].last, 4u);
  EXPECT_EQ(f.frame.ranges[2].first, 0u);
}

TEST(Receiver, DuplicatesDoNothing) {
  Fixture f;
  f.receive(at(0), 0, 4);
  for (int i = 0; i < 20; ++i) f.receive(at(1), 3, 3);
  EXPECT_FALSE(f.receiver.take_ack(at(1), f.frame));
  EXPECT_EQ(f.receiver.duplicates_received(), 20u);
  EXPECT_EQ(f.receiver.packets_received(), 5u);
}

// Tunnel sizes in the logs are payload + 32: 68 and 100 bytes for one range (the former only with a tiny
// delay).
TEST(Receiver, AckPacketsHaveTheSizesSeenInTheLogs) {
  Fixture f;
  f.receive(at(0), 0, 9);
  ASSERT_TRUE(f.receiver.take_ack(at(0), f.frame));
  EXPECT_EQ(f.frame.payload, ByteCount(68 - 32));
  f.receive(at(0), 10, 18);
  ASSERT_TRUE(f.receiver.take_ack(f.receiver.next_timer(), f.frame));
  EXPECT_EQ(f.frame.payload, ByteCount(68 - 32));
  // Past 63 packets the first range takes two bytes.
  f.receive(at(50), 19, 90);
  ASSERT_TRUE(f.receiver.take_ack(f.receiver.next_timer() + kMs, f.frame));
  EXPECT_EQ(f.frame.payload, ByteCount(100 - 32));
}

TEST(Receiver, AckPacketsGrowByTwoBytesARangeUpToAFullPacket) {
  Fixture f;
  std::uint64_t number = 0;
  ByteCount previous;
  for (int i = 0; i < 2'000; ++i, number += 2) {
    f.receive(at(i), number, number);
    if (!f.receiver.take_ack(at(i), f.frame)) continue;
    EXPECT_GE(f.frame.payload, previous);
    EXPECT_EQ((1252 - f.frame.payload.value()) % 32, 0);
    EXPECT_LE(f.frame.ranges.size(), 64u);
    previous = f.frame.payload;
    if (i == 300) {
      EXPECT_NEAR(static_cast<double>(f.frame.payload.value()), 37 + 2 * 300, 32);
    }
  }
  EXPECT_EQ(previous, ByteCount(1252));
}

// Against a plain set, with heavy reordering and loss.
TEST(Receiver, RangesAreExactlyWhatCame) {
  TransportConfig config = data_only();
  config.max_ack_ranges = 4096;
  Fixture f(config);
  Rng rng(7);
  std::set<std::uint64_t> came;
  for (std::uint64_t i = 0; i < 3'000; ++i) {
    const std::uint64_t number = i + rng.below(40);
    f.receiver.on_packet(at(static_cast<std::int64_t>(i)), number);
    came.insert(number);
  }
  f.receiver.on_packet(at(4'000), 4'000);  // a gap: due at once
  came.insert(4'000);
  ASSERT_TRUE(f.receiver.take_ack(at(4'000), f.frame));
  std::set<std::uint64_t> listed;
  std::uint64_t above = 1ULL << 62;
  for (const AckRange& range : f.frame.ranges) {
    EXPECT_LE(range.first, range.last);
    EXPECT_LT(range.last + 1, above);
    above = range.first;
    for (std::uint64_t n = range.first; n <= range.last; ++n) listed.insert(n);
  }
  EXPECT_EQ(listed, came);
  EXPECT_EQ(f.receiver.packets_received(), came.size());
}

TEST(TransportConfig, RefusesBadValuesByName) {
  const auto message = [](auto change) {
    TransportConfig config;
    change(config);
    try {
      Receiver receiver(config);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message([](TransportConfig& c) { c.ack_threshold = 0; }).find("ack_threshold"),
            std::string::npos);
  EXPECT_NE(message([](TransportConfig& c) { c.initial_rtt = Duration::zero(); }).find("initial_rtt"),
            std::string::npos);
  EXPECT_NE(
      message([](TransportConfig& c) { c.time_threshold_dividend = 3; }).find("time_threshold_dividend"),
      std::string::npos);
  EXPECT_NE(message([](TransportConfig& c) { c.window.packet_size = ByteCount(0); }).find("packet_size"),
            std::string::npos);
}

}  // namespace
}  // namespace mvfstrl
