#include "path/queue.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace mvfstrl {
namespace {

Packet packet(std::uint64_t id, std::uint32_t size) {
  return {.id = id, .entered = {}, .left = {}, .flow = 0, .size_bytes = size};
}

std::vector<std::uint64_t> drain(Queue& queue, TimePoint now = TimePoint()) {
  std::vector<std::uint64_t> ids;
  Tally drops;
  for (Packet next; queue.take(now, next, drops);) ids.push_back(next.id);
  return ids;
}

using Ids = std::vector<std::uint64_t>;

TEST(Queue, InfiniteTakesEverything) {
  Queue queue({}, Rng());
  Tally drops;
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_TRUE(queue.admit(packet(i, 1500), TimePoint(), drops));
  EXPECT_EQ(queue.packets(), 1000);
  EXPECT_EQ(queue.bytes(), 1'500'000);
  EXPECT_EQ(drops, Tally{});
  EXPECT_EQ(drain(queue).size(), 1000u);
}

TEST(Queue, DropTailCountsPackets) {
  Queue queue({.kind = QueueKind::kDropTail, .packets = 2}, Rng());
  Tally drops;
  EXPECT_TRUE(queue.admit(packet(0, 1500), TimePoint(), drops));
  EXPECT_TRUE(queue.admit(packet(1, 40), TimePoint(), drops));
  EXPECT_FALSE(queue.admit(packet(2, 40), TimePoint(), drops));
  EXPECT_EQ(drops, (Tally{1, 40}));
  EXPECT_EQ(drain(queue), (Ids{0, 1}));
}

TEST(Queue, DropTailCountsBytes) {
  Queue queue({.kind = QueueKind::kDropTail, .bytes = 3000}, Rng());
  Tally drops;
  EXPECT_TRUE(queue.admit(packet(0, 1500), TimePoint(), drops));
  EXPECT_TRUE(queue.admit(packet(1, 1000), TimePoint(), drops));
  EXPECT_FALSE(queue.admit(packet(2, 501), TimePoint(), drops)) << "one byte too many";
  EXPECT_TRUE(queue.admit(packet(3, 500), TimePoint(), drops)) << "exactly full";
  EXPECT_EQ(drops, (Tally{1, 501}));
  EXPECT_EQ(drain(queue), (Ids{0, 1, 3}));
}

TEST(Queue, DropHeadMakesRoomAtTheHead) {
  Queue queue({.kind = QueueKind::kDropHead, .bytes = 3000}, Rng());
  Tally drops;
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(queue.admit(packet(i, 1000), TimePoint(), drops));
  EXPECT_TRUE(queue.admit(packet(3, 1500), TimePoint(), drops)) << "two have to go";
  EXPECT_EQ(drops, (Tally{2, 2000}));
  EXPECT_FALSE(queue.admit(packet(4, 3001), TimePoint(), drops)) << "larger than the buffer";
  EXPECT_EQ(drops, (Tally{5, 2000 + 1000 + 1500 + 3001}));
  EXPECT_TRUE(queue.empty());
}

TEST(Queue, UnsoundConfigurationIsNamed) {
  const auto refusal = [](const QueueConfig& config) -> std::string {
    try {
      Queue(config, Rng());
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal({.kind = QueueKind::kDropTail}),
            "a drop-tail or drop-head queue needs a limit in packets or bytes");
  EXPECT_EQ(refusal({.kind = QueueKind::kInfinite, .packets = 3}), "an infinite queue takes no limit");
  EXPECT_EQ(refusal({.kind = QueueKind::kDropHead, .packets = 0}), "queue packets must be positive, got 0");
  EXPECT_EQ(refusal({.kind = QueueKind::kDropTail, .bytes = -1}), "queue bytes must be positive, got -1");
  EXPECT_EQ(refusal({.kind = QueueKind::kCodel, .codel = {.target = Duration::zero()}}),
            "codel target must be positive, got 0.000000 ms");
  EXPECT_EQ(refusal({.kind = QueueKind::kPie, .pie = {.update_interval = Duration::zero()}}),
            "pie update_interval must be positive, got 0.000000 ms");
}

// --- CoDel -------------------------------------------------------------------------------------------------

// A standing queue: packet i arrives at i ms and leaves at i + delay ms, one a millisecond.
class CodelTest : public testing::Test {
 protected:
  void fill(Queue& queue, std::int64_t from_ms, std::int64_t to_ms) {
    for (std::int64_t ms = from_ms; ms < to_ms; ++ms) {
      queue.admit(packet(static_cast<std::uint64_t>(ms), 1000), TimePoint::from_ms(ms), drops_);
    }
  }
  // Takes one packet a millisecond and returns the times at which others were dropped.
  std::vector<std::int64_t> drop_times(Queue& queue, std::int64_t from_ms, std::int64_t to_ms) {
    std::vector<std::int64_t> times;
    for (std::int64_t ms = from_ms; ms < to_ms; ++ms) {
      const std::int64_t before = drops_.packets;
      Packet out;
      if (!queue.take(TimePoint::from_ms(ms), out, drops_)) break;
      for (std::int64_t i = before; i < drops_.packets; ++i) times.push_back(ms);
    }
    return times;
  }
  Tally drops_;
};

TEST_F(CodelTest, DropsByTheControlLawWhileDelayStaysAboveTarget) {
  Queue queue({.kind = QueueKind::kCodel}, Rng());
  fill(queue, 0, 2000);
  // Sojourn is 50 ms from the first packet on: above target from 50 ms, first drop an interval later, then
  // after 100/sqrt(1), 100/sqrt(2), 100/sqrt(3) ms ... each rounded up to the next dequeue.
  EXPECT_EQ(drop_times(queue, 50, 500), (std::vector<std::int64_t>{150, 250, 321, 379, 429, 474}));
}

TEST_F(CodelTest, LeavesShortDelayAlone) {
  Queue queue({.kind = QueueKind::kCodel}, Rng());
  std::int64_t delivered = 0;
  for (std::int64_t ms = 0; ms < 1000; ++ms) {
    fill(queue, ms, ms + 1);
    Packet out;
    if (ms >= 4 && queue.take(TimePoint::from_ms(ms), out, drops_)) ++delivered;
  }
  EXPECT_EQ(delivered, 996);
  EXPECT_EQ(drops_.packets, 0);
}

TEST_F(CodelTest, NeverDropsTheLastFullPacket) {
  Queue queue({.kind = QueueKind::kCodel}, Rng());
  Packet out;
  for (std::int64_t second = 0; second < 10; ++second) {
    // Two packets waiting for ever longer than the interval; one remains after each pop.
    fill(queue, second * 1000, second * 1000 + 2);
    ASSERT_TRUE(queue.take(TimePoint::from_ms(second * 1000 + 900), out, drops_));
    ASSERT_TRUE(queue.take(TimePoint::from_ms(second * 1000 + 900), out, drops_));
  }
  EXPECT_EQ(drops_.packets, 0);
}

TEST_F(CodelTest, ResumesNearTheReachedRate) {
  Queue queue({.kind = QueueKind::kCodel}, Rng());
  fill(queue, 0, 1000);
  const auto first = drop_times(queue, 50, 500);  // six drops
  ASSERT_EQ(first.size(), 6u);
  drain(queue, TimePoint::from_ms(500));
  fill(queue, 500, 3000);
  // Above target from 550; the second drop follows the first after 100/sqrt(6 - 1) ms, not after 100 ms.
  const auto second = drop_times(queue, 550, 750);
  ASSERT_GE(second.size(), 2u);
  EXPECT_EQ(second[0], 650);
  EXPECT_LE(second[1], 650 + 45 + 1);
}

TEST_F(CodelTest, MahimahiDropsThePacketBehindTheHead) {
  Queue queue({.kind = QueueKind::kCodel, .flavour = QueueFlavour::kMahimahi}, Rng());
  fill(queue, 0, 2000);
  Tally drops;
  Packet out;
  std::uint64_t expected = 0;
  for (std::int64_t ms = 50; ms < 150; ++ms, ++expected) {
    ASSERT_TRUE(queue.take(TimePoint::from_ms(ms), out, drops));
    ASSERT_EQ(out.id, expected);
  }
  ASSERT_TRUE(queue.take(TimePoint::from_ms(150), out, drops));
  EXPECT_EQ(out.id, 100u) << "the head is sent";
  EXPECT_EQ(drops.packets, 1);
  ASSERT_TRUE(queue.take(TimePoint::from_ms(151), out, drops));
  EXPECT_EQ(out.id, 102u) << "the one behind it was dropped";
}

// --- PIE ---------------------------------------------------------------------------------------------------

// Offers `per_ms` packets of 1000 bytes a millisecond and takes one; returns drops in each second.
std::vector<std::int64_t> overload(Queue& queue, int per_ms, int seconds) {
  std::vector<std::int64_t> by_second;
  Tally drops;
  std::uint64_t id = 0;
  for (int second = 0; second < seconds; ++second) {
    const std::int64_t before = drops.packets;
    for (int step = 0; step < 1000; ++step) {
      const TimePoint now = TimePoint::from_ms(second * 1000 + step);
      for (int i = 0; i < per_ms; ++i) queue.admit(packet(id++, 1000), now, drops);
      Packet out;
      queue.take(now, out, drops);
    }
    by_second.push_back(drops.packets - before);
  }
  return by_second;
}

TEST(PieQueue, HoldsDelayAtTargetUnderOverload) {
  Queue queue({.kind = QueueKind::kPie}, Rng(3));
  const auto drops = overload(queue, 2, 20);
  // Twice the link's rate: half has to go, and a standing queue of the target's 15 ms is 15 packets.
  EXPECT_NEAR(static_cast<double>(drops.back()), 1000, 60);
  EXPECT_NEAR(static_cast<double>(queue.packets()), 15, 10);
}

TEST(PieQueue, LetsTheFirstBurstThrough) {
  Queue queue({.kind = QueueKind::kPie}, Rng(3));
  Tally drops;
  for (int step = 0; step < 140; ++step) {
    for (int i = 0; i < 20; ++i) queue.admit(packet(0, 1000), TimePoint::from_ms(step), drops);
    Packet out;
    queue.take(TimePoint::from_ms(step), out, drops);
  }
  EXPECT_EQ(drops.packets, 0) << "within MAX_BURST of 150 ms";
}

TEST(PieQueue, LeavesAMatchedLoadAlone) {
  Queue queue({.kind = QueueKind::kPie}, Rng(3));
  for (const std::int64_t drops : overload(queue, 1, 5)) EXPECT_EQ(drops, 0);
}

TEST(PieQueue, MahimahiFlavourControlsToo) {
  Queue queue({.kind = QueueKind::kPie, .flavour = QueueFlavour::kMahimahi}, Rng(3));
  const auto drops = overload(queue, 2, 30);
  EXPECT_NEAR(static_cast<double>(drops.back()), 1000, 150);
  // Its gains are per millisecond, so it swings between dropping all and, for MAX_BURST, nothing.
  EXPECT_LT(queue.packets(), 400);
}

TEST(PieQueue, TailLimitHolds) {
  Queue queue({.kind = QueueKind::kPie, .packets = 5}, Rng(3));
  Tally drops;
  for (std::uint64_t i = 0; i < 8; ++i) queue.admit(packet(i, 1000), TimePoint(), drops);
  EXPECT_EQ(queue.packets(), 5);
  EXPECT_EQ(drops, (Tally{3, 3000}));
}

}  // namespace
}  // namespace mvfstrl
