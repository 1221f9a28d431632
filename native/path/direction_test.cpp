#include "path/direction.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>
#include <vector>

namespace mvfstrl {
namespace {

using Order = Direction::Order;

struct Delivery {
  std::uint64_t id;
  std::int64_t ns;
  bool operator==(const Delivery&) const = default;
};

// Sends packets and collects deliveries, driven by next_event() alone.
class Driver {
 public:
  Driver(const DirectionConfig& config, Order order, std::uint64_t seed = 1)
      : direction(config, order, Rng(seed)) {}

  bool send(TimePoint now, std::uint64_t id, std::uint32_t size) {
    run(now);
    return direction.enter(now, {.id = id, .entered = {}, .left = {}, .flow = 0, .size_bytes = size});
  }
  void run(TimePoint until) {
    while (direction.next_event() <= until) {
      const TimePoint now = direction.next_event();
      Packet packet;
      while (direction.advance(now, packet)) deliveries.push_back({packet.id, now.ns()});
      ASSERT_GT(direction.next_event(), now) << "time stands still";
    }
  }
  std::vector<Delivery> finish() {
    run(TimePoint::from_ms(1'000'000));
    return deliveries;
  }

  Direction direction;
  std::vector<Delivery> deliveries;
};

using Deliveries = std::vector<Delivery>;
constexpr std::int64_t kMs = 1'000'000;

DirectionConfig constant(double mbps, std::int64_t delay_ms = 0, QueueConfig queue = {}) {
  return {
      .rate = ConstantRate{Bandwidth::from_mbps(mbps)}, .queue = queue, .delay = Duration::from_ms(delay_ms)};
}

DirectionConfig trace(std::vector<std::uint32_t> timestamps, std::int64_t delay_ms = 0,
                      QueueConfig queue = {}) {
  return {.rate = TraceRate{.trace = Trace::from_timestamps(std::move(timestamps))},
          .queue = queue,
          .delay = Duration::from_ms(delay_ms)};
}

TEST(ConstantLink, SerialisesThenDelays) {
  Driver driver(constant(12, 20), Order::kLinkLossDelay);  // 1500 bytes a millisecond
  driver.send(TimePoint::zero(), 0, 1500);
  driver.send(TimePoint::zero(), 1, 750);
  driver.send(TimePoint::from_ms(10), 2, 1500);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 21 * kMs}, {1, 21 * kMs + kMs / 2}, {2, 31 * kMs}}));
}

TEST(ConstantLink, CountsNanoseconds) {
  Driver driver(constant(1000), Order::kLinkLossDelay);
  for (std::uint64_t i = 0; i < 3; ++i) driver.send(TimePoint::from_ns(7), i, 1252);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 7 + 10016}, {1, 7 + 20032}, {2, 7 + 30048}}));
}

TEST(ConstantLink, DelayFirstGivesTheSameSumWithoutQueueing) {
  Driver driver(constant(12, 20), Order::kDelayLossLink);
  driver.send(TimePoint::from_ns(3), 0, 1500);
  driver.send(TimePoint::from_ns(4), 1, 1500);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 3 + 21 * kMs}, {1, 3 + 22 * kMs}}));
}

TEST(ConstantLink, PacketOnTheWireIsNotInTheQueue) {
  Driver driver(constant(12, 0, {.kind = QueueKind::kDropTail, .packets = 1}), Order::kLinkLossDelay);
  EXPECT_TRUE(driver.send(TimePoint::zero(), 0, 1500));   // on the wire
  EXPECT_TRUE(driver.send(TimePoint::zero(), 1, 1500));   // in the queue
  EXPECT_FALSE(driver.send(TimePoint::zero(), 2, 1500));  // no room
  EXPECT_TRUE(driver.send(TimePoint::from_ms(1), 3, 1500)) << "the departure of this instant made room";
  EXPECT_EQ(driver.finish(), (Deliveries{{0, kMs}, {1, 2 * kMs}, {3, 3 * kMs}}));
  EXPECT_EQ(driver.direction.counters().queue_drops, (Tally{1, 1500}));
}

TEST(ConstantLink, AllDeparturesUpToAnArrivalMakeRoomForIt) {
  Direction direction(constant(12, 0, {.kind = QueueKind::kDropTail, .bytes = 3000}), Order::kLinkLossDelay,
                      Rng());
  Packet packet;
  packet.size_bytes = 1500;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(direction.enter(TimePoint::zero(), packet));
  packet.size_bytes = 3000;  // needs both waiting packets gone, the second of which starts at 2 ms
  EXPECT_TRUE(direction.enter(TimePoint::from_ms(2), packet));
}

TEST(ConstantLink, QueueBehindTheDelayDropsOnArrivalThere) {
  Driver driver(constant(12, 5, {.kind = QueueKind::kDropTail, .packets = 1}), Order::kDelayLossLink);
  for (std::uint64_t i = 0; i < 4; ++i) driver.send(TimePoint::zero(), i, 1500);
  EXPECT_EQ(driver.direction.counters().queue_drops.packets, 0) << "still in the delay";
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 6 * kMs}, {1, 7 * kMs}}));
  EXPECT_EQ(driver.direction.counters().queue_drops.packets, 2);
}

TEST(ConstantLink, SojournIsInThePacket) {
  Direction direction(constant(12, 20), Order::kLinkLossDelay, Rng());
  Packet packet;
  packet.size_bytes = 1500;
  direction.enter(TimePoint::from_ms(3), packet);
  direction.enter(TimePoint::from_ms(3), packet);
  Packet out;
  ASSERT_TRUE(direction.advance(TimePoint::from_ms(100), out));
  ASSERT_TRUE(direction.advance(TimePoint::from_ms(100), out));
  EXPECT_EQ(out.entered, TimePoint::from_ms(3));
  EXPECT_EQ(out.left, TimePoint::from_ms(5));
}

TEST(TraceLink, OpportunityOfTheArrivalsMillisecondComesFirst) {
  Driver driver(trace({1}), Order::kLinkLossDelay);
  driver.send(TimePoint::from_ms(4), 0, 1504);
  driver.send(TimePoint::from_ns(6 * kMs + 999'999), 1, 1504);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 5 * kMs}, {1, 7 * kMs}}));
}

TEST(TraceLink, OpportunityCarriesBytesNotPackets) {
  Driver driver(trace({10}), Order::kLinkLossDelay);
  for (std::uint64_t i = 0; i < 27; ++i) driver.send(TimePoint::from_ms(1), i, 56);
  driver.finish();
  // 26 of 56 bytes fit into 1504 and the 27th starts: its first 48 bytes leave with them.
  EXPECT_EQ(driver.deliveries[25], (Delivery{25, 10 * kMs}));
  EXPECT_EQ(driver.deliveries[26], (Delivery{26, 20 * kMs}));
}

TEST(TraceLink, LargePacketSpansOpportunitiesAndTheRestServesTheNext) {
  Driver driver(trace({10, 11, 20}), Order::kLinkLossDelay);
  driver.send(TimePoint::zero(), 0, 2000);
  driver.send(TimePoint::zero(), 1, 1008);
  driver.send(TimePoint::zero(), 2, 1504);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 11 * kMs}, {1, 11 * kMs}, {2, 20 * kMs}}));
}

TEST(TraceLink, LeftoverIsLostWhenTheQueueRunsEmpty) {
  Driver driver(trace({10}), Order::kLinkLossDelay);
  driver.send(TimePoint::from_ms(1), 0, 4);  // uses 4 bytes of 1504
  driver.send(TimePoint::from_ms(10), 1, 1500);
  driver.send(TimePoint::from_ms(10), 2, 1500);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 10 * kMs}, {1, 20 * kMs}, {2, 30 * kMs}}));
}

TEST(TraceLink, DelayFirstReleasesAtWholeMilliseconds) {
  Driver driver(trace({1}, 20), Order::kDelayLossLink);
  driver.send(TimePoint::from_ns(4 * kMs + 600'000), 0, 100);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 25 * kMs}}))
      << "released at 24 ms, sent by the next opportunity";
}

TEST(TraceLink, PacketReachesTheLinkOnItsMillisecondClock) {
  Direction direction(trace({1}, 20), Order::kDelayLossLink, Rng());
  direction.enter(TimePoint::from_ns(4 * kMs + 600'000),
                  {.id = 0, .entered = {}, .left = {}, .flow = 0, .size_bytes = 9});
  Packet out;
  ASSERT_TRUE(direction.advance(TimePoint::from_ms(25), out));
  EXPECT_EQ(out.entered, TimePoint::from_ms(24));
  EXPECT_EQ(out.left, TimePoint::from_ms(25));
}

TEST(TraceLink, DelayAfterStartsAtTheOpportunity) {
  Driver driver(trace({1}, 20), Order::kLinkLossDelay);
  driver.send(TimePoint::from_ns(4 * kMs + 600'000), 0, 100);
  EXPECT_EQ(driver.finish(), (Deliveries{{0, 25 * kMs}}));
}

TEST(RandomLoss, DataUsesTheLinkBeforeItIsLost) {
  DirectionConfig config = constant(12);
  config.loss = 0.5;
  Driver driver(config, Order::kLinkLossDelay);
  for (std::uint64_t i = 0; i < 1000; ++i) driver.send(TimePoint::zero(), i, 1500);
  driver.finish();
  const DirectionCounters& counters = driver.direction.counters();
  EXPECT_NEAR(static_cast<double>(counters.random_losses.packets), 500, 5 * 15.8);
  for (const Delivery& delivery : driver.deliveries) {
    EXPECT_EQ(delivery.ns, static_cast<std::int64_t>(delivery.id + 1) * kMs) << "as if nothing were lost";
  }
}

TEST(RandomLoss, AcksAreLostBeforeTheLink) {
  DirectionConfig config = constant(12);
  config.loss = 0.5;
  Driver driver(config, Order::kDelayLossLink);
  for (std::uint64_t i = 0; i < 1000; ++i) driver.send(TimePoint::zero(), i, 1500);
  driver.finish();
  EXPECT_EQ(driver.deliveries.back().ns, static_cast<std::int64_t>(driver.deliveries.size()) * kMs)
      << "the lost took no time";
}

TEST(RandomLoss, CertainLossLosesAll) {
  for (const Order order : {Order::kLinkLossDelay, Order::kDelayLossLink}) {
    DirectionConfig config = constant(12, 1);
    config.loss = 1;
    Driver driver(config, order);
    for (std::uint64_t i = 0; i < 10; ++i) driver.send(TimePoint::zero(), i, 1500);
    EXPECT_TRUE(driver.finish().empty());
    EXPECT_EQ(driver.direction.counters().random_losses, (Tally{10, 15000}));
  }
}

TEST(ScheduledLink, PacketsFollowTheRateOfTheirTime) {
  const PeriodicRate rate{.parts = {{Bandwidth::from_mbps(12), Duration::from_ms(2)},
                                    {Bandwidth(), Duration::from_ms(3)},
                                    {Bandwidth::from_mbps(24), Duration::from_ms(2)}}};
  Driver driver({.rate = rate, .delay = Duration::from_ms(5)}, Order::kLinkLossDelay);
  for (std::uint64_t i = 0; i < 4; ++i) driver.send(TimePoint::zero(), i, 1500);
  driver.send(TimePoint::from_ms(30), 4, 1500);  // 2 ms into a round, with two milliseconds of outage left
  EXPECT_EQ(
      driver.finish(),
      (Deliveries{
          {0, 6 * kMs}, {1, 7 * kMs}, {2, 10 * kMs + kMs / 2}, {3, 11 * kMs}, {4, 38 * kMs + kMs / 2}}));
  EXPECT_EQ(driver.direction.offered_bytes(TimePoint::from_ms(14)), ByteCount(2 * (2 + 4) * 1500));
}

TEST(WifiLink, PacketsOfAnAggregateLeaveAtOnce) {
  const WifiRate rate{.phy_rates = {Bandwidth::from_mbps(30)}, .gap = Duration::zero()};  // 10 in 4.3 ms
  Driver driver({.rate = rate}, Order::kLinkLossDelay);
  for (std::uint64_t i = 0; i < 15; ++i) driver.send(TimePoint::zero(), i, 1500);
  driver.finish();
  for (const Delivery& delivery : driver.deliveries) {
    EXPECT_EQ(delivery.ns, delivery.id < 10 ? 4'300'000 : 8'600'000) << delivery.id;
  }
  EXPECT_EQ(driver.direction.offered_bytes(TimePoint::from_ms(1'000'010)).value() % 15'000, 0);
}

TEST(OfferedBytes, ConstantIsRateTimesTime) {
  Direction direction(constant(12), Order::kLinkLossDelay, Rng());
  EXPECT_EQ(direction.offered_bytes(TimePoint::from_ms(10)), ByteCount(15'000));
}

TEST(OfferedBytes, OpportunitiesCountWhetherUsedOrNot) {
  Driver idle(trace({2, 3, 3}), Order::kLinkLossDelay);
  Driver busy(trace({2, 3, 3}), Order::kLinkLossDelay);
  for (std::uint64_t i = 0; i < 100; ++i) busy.send(TimePoint::zero(), i, 1504);
  for (std::int64_t ms = 0; ms < 20; ++ms) {
    busy.run(TimePoint::from_ms(ms));
    // Milliseconds 2, 3, 3, 5, 6, 6, 8, ...
    const std::int64_t passed = ms / 3 * 3 + (ms % 3 == 2 ? 1 : 0);
    EXPECT_EQ(idle.direction.offered_bytes(TimePoint::from_ms(ms)), ByteCount(1504 * passed)) << ms;
    EXPECT_EQ(busy.direction.offered_bytes(TimePoint::from_ms(ms)), ByteCount(1504 * passed)) << ms;
  }
}

TEST(Direction, NothingInsideMeansNoEvent) {
  Driver driver(constant(12, 20), Order::kLinkLossDelay);
  EXPECT_TRUE(driver.direction.next_event().is_never());
  driver.send(TimePoint::zero(), 0, 1500);
  EXPECT_EQ(driver.direction.next_event(), TimePoint::from_ms(21)) << "one event a packet";
  driver.finish();
  EXPECT_TRUE(driver.direction.next_event().is_never());
}

TEST(Direction, UnsoundConfigurationIsRefused) {
  const auto refused = [](const DirectionConfig& config) {
    EXPECT_THROW(Direction(config, Order::kLinkLossDelay, Rng()), std::invalid_argument);
  };
  refused(constant(0));
  refused(constant(-1));
  refused(constant(1, -1));
  refused({.rate = PoissonRate{Bandwidth::from_mbps(0)}});
  refused({.rate = ConstantRate{Bandwidth::from_mbps(1)}, .loss = 1.01});
  refused({.rate = ConstantRate{Bandwidth::from_mbps(1)}, .loss = -0.01});
  refused({.rate = CellularRate{.parameters = {.burst = 0.5}}});
  refused({.rate = CellularRate{.parameters = {}, .scale = 0}});
  refused({.rate = CellularRate{
               .parameters = {.level = Bandwidth::from_mbps(3), .max = Bandwidth::from_mbps(2)}}});
}

}  // namespace
}  // namespace mvfstrl
