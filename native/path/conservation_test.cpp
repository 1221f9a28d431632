// What holds for every link, queue and order: nothing is lost track of, packets keep their order, when the
// caller looks does not matter, and a seed fixes everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "path/direction.h"

namespace mvfstrl {
namespace {

using Order = Direction::Order;

struct Case {
  std::string name;
  DirectionConfig config;
  Order order;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> cases() {
  const auto sparse = Trace::from_timestamps({0, 1, 1, 1, 4, 9, 9, 30});
  const std::vector<std::pair<std::string, RateConfig>> rates = {
      {"constant", ConstantRate{Bandwidth::from_mbps(3)}},
      {"poisson", PoissonRate{Bandwidth::from_mbps(3)}},
      {"trace", TraceRate{.trace = sparse}},
      {"cellular", CellularRate{.parameters = {.level = Bandwidth::from_mbps(3), .burst = 2}}},
      {"periodic", PeriodicRate{.parts = {{Bandwidth::from_mbps(1), Duration::from_ms(700)},
                                          {Bandwidth::from_mbps(5), Duration::from_ms(900)},
                                          {Bandwidth(), Duration::from_ms(30)}}}},
      {"random_walk",
       RandomWalkRate{.min = Bandwidth::from_mbps(1), .max = Bandwidth::from_mbps(6), .deviation = 0.3}},
      {"satellite", SatelliteRate{.rate = Bandwidth::from_mbps(3),
                                  .interval = Duration::from_ms(1'500),
                                  .low = 0.5,
                                  .high = 1.5,
                                  .outage = Duration::from_ms(80)}},
      {"wifi",
       WifiRate{.phy_rates = {Bandwidth::from_mbps(4), Bandwidth::from_mbps(8)}, .aggregate_packets = 3}}};
  std::vector<std::pair<std::string, QueueConfig>> queues = {
      {"infinite", {}},
      {"packets", {.kind = QueueKind::kDropTail, .packets = 7}},
      {"bytes", {.kind = QueueKind::kDropTail, .bytes = 9000}},
      {"drophead", {.kind = QueueKind::kDropHead, .packets = 20, .bytes = 9000}},
      {"codel", {.kind = QueueKind::kCodel, .packets = 100}},
      {"pie", {.kind = QueueKind::kPie, .packets = 100}},
      {"mahimahi_codel", {.kind = QueueKind::kCodel, .flavour = QueueFlavour::kMahimahi}},
      {"mahimahi_pie", {.kind = QueueKind::kPie, .flavour = QueueFlavour::kMahimahi}}};
  std::vector<Case> result;
  for (const auto& [rate_name, rate] : rates) {
    for (const auto& [queue_name, queue] : queues) {
      for (const Order order : {Order::kLinkLossDelay, Order::kDelayLossLink}) {
        const std::string name =
            rate_name + "_" + queue_name + (order == Order::kLinkLossDelay ? "_data" : "_acks");
        DirectionConfig config{.rate = rate, .queue = queue, .delay = Duration::from_us(7'300), .loss = 0.03};
        result.push_back({name, config, order});
        if (queue_name != "packets" && queue_name != "codel") continue;
        config.delay_variation = {.every = Duration::from_ms(400),
                                  .step_high = Duration::from_ms(20),
                                  .seed = 3,
                                  .jitter = Duration::from_ms(2)};
        result.push_back({name + "_varying", config, order});
        config.reordering = {.probability = 0.02, .extra = Duration::from_ms(11)};
        config.duplication = 0.02;
        result.push_back({name + "_disturbed", config, order});
      }
    }
  }
  return result;
}

void expect_conserved(const Direction& direction) {
  const DirectionCounters& c = direction.counters();
  ASSERT_EQ(c.entered + c.duplicated, c.delivered + c.queue_drops + c.random_losses + direction.inside());
}

struct Event {
  std::uint64_t id;
  std::int64_t due_ns;
  bool operator==(const Event&) const = default;
};

struct Outcome {
  std::vector<Event> deliveries;
  DirectionCounters counters;
  Tally copies;
  std::int64_t offered_bytes = 0;
  std::size_t capacity_bytes = 0;
};

struct Look {
  bool often = false;  // also look between events
  std::uint64_t traffic_seed = 5;
};

// Half a minute of bursts above the link's rate and pauses below it.
Outcome play(const Case& c, const Look& look, std::uint64_t seed) {
  Direction direction(c.config, c.order, Rng(seed));
  Rng traffic(look.traffic_seed);
  Outcome outcome;
  const auto collect = [&](TimePoint now) {
    Packet packet;
    while (direction.advance(now, packet)) {
      const TimePoint due = c.order == Order::kLinkLossDelay ? packet.left + c.config.delay : packet.left;
      EXPECT_LE(due, now);
      if (!has_detour(c.config)) {
        EXPECT_EQ(due, now);
      }
      outcome.deliveries.push_back({packet.id, now.ns()});
      if (packet.copy) outcome.copies.add(packet.size_bytes);
    }
    expect_conserved(direction);
  };
  TimePoint now;
  const TimePoint end = TimePoint::from_ms(30'000);
  for (std::uint64_t id = 0; now < end; ++id) {
    const bool busy = now.ns() / 1'000'000'000 % 2 == 0;
    now += Duration::from_us(1 + static_cast<std::int64_t>(traffic.exponential(busy ? 2'000 : 20'000)));
    while (direction.next_event() <= now) {
      const TimePoint event = direction.next_event();
      collect(event);
      EXPECT_GT(direction.next_event(), event);
    }
    if (look.often) collect(now);
    Packet packet;
    packet.id = id;
    packet.size_bytes = static_cast<std::uint32_t>(40 + traffic.below(1461));
    direction.enter(now, packet);
    expect_conserved(direction);
  }
  while (!direction.next_event().is_never()) collect(direction.next_event());
  outcome.counters = direction.counters();
  outcome.offered_bytes = direction.offered_bytes(TimePoint::from_ms(200'000)).value();
  outcome.capacity_bytes = direction.capacity_bytes();
  EXPECT_EQ(direction.inside(), Tally{}) << "everything leaves in the end";
  return outcome;
}

class EveryPath : public testing::TestWithParam<Case> {};

TEST_P(EveryPath, ConservesPacketsAndKeepsTheirOrderUnlessAskedNotTo) {
  const Outcome outcome = play(GetParam(), {}, 1);
  EXPECT_GT(outcome.counters.delivered.packets, 1000);
  EXPECT_GT(outcome.counters.random_losses.packets, 10);
  if (GetParam().config.queue.kind == QueueKind::kInfinite) {
    EXPECT_EQ(outcome.counters.queue_drops, Tally{});
  } else {
    EXPECT_GT(outcome.counters.queue_drops.packets, 0);
  }
  const bool disturbed = GetParam().config.reordering.probability > 0;
  EXPECT_EQ(outcome.copies, outcome.counters.duplicated);
  EXPECT_EQ(outcome.copies.packets > 10, disturbed);
  const auto by_id = [](const Event& a, const Event& b) { return a.id < b.id; };
  const auto by_time = [](const Event& a, const Event& b) { return a.due_ns < b.due_ns; };
  EXPECT_EQ(std::is_sorted(outcome.deliveries.begin(), outcome.deliveries.end(), by_id), !disturbed);
  EXPECT_TRUE(std::is_sorted(outcome.deliveries.begin(), outcome.deliveries.end(), by_time));
  EXPECT_LE(outcome.deliveries.back().due_ns, TimePoint::from_ms(200'000).ns());
}

TEST_P(EveryPath, LookingMoreOftenChangesNothing) {
  const Outcome seldom = play(GetParam(), {.often = false}, 1);
  const Outcome often = play(GetParam(), {.often = true}, 1);
  EXPECT_EQ(seldom.deliveries, often.deliveries);
}

TEST_P(EveryPath, SeedFixesEverything) {
  const Outcome first = play(GetParam(), {}, 1);
  const Outcome again = play(GetParam(), {}, 1);
  const Outcome other = play(GetParam(), {}, 2);
  EXPECT_EQ(first.deliveries, again.deliveries);
  EXPECT_NE(first.deliveries, other.deliveries) << "random loss at least differs";
}

TEST_P(EveryPath, RateProcessDoesNotDependOnTraffic) {
  const Outcome one = play(GetParam(), {.often = false, .traffic_seed = 5}, 1);
  const Outcome other = play(GetParam(), {.often = false, .traffic_seed = 6}, 1);
  EXPECT_NE(one.deliveries, other.deliveries);
  EXPECT_GT(one.offered_bytes, 0);
  EXPECT_EQ(one.offered_bytes, other.offered_bytes);
}

INSTANTIATE_TEST_SUITE_P(All, EveryPath, testing::ValuesIn(cases()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace mvfstrl
