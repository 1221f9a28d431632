// The relay beside the bare direction: whatever the host's lateness, what comes out is what virtual time has.
#include "emulator/relay.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "path/trace.h"

namespace mvfstrl {
namespace {

struct Case {
  std::string name;
  DirectionConfig config;
};

struct Arrival {
  TimePoint at;
  std::uint32_t size;
};

struct Departure {
  std::uint32_t number;  // of the packet
  TimePoint due;
  bool operator==(const Departure&) const = default;
};

Bandwidth mbps(double rate) { return Bandwidth::from_mbps(rate); }

std::vector<Case> cases() {
  const auto trace = Trace::from_timestamps({1, 1, 4, 9, 9, 10, 30}, "in the test");
  QueueConfig tail{.kind = QueueKind::kDropTail, .packets = 20};
  QueueConfig head{.kind = QueueKind::kDropHead, .packets = 20};
  QueueConfig codel{.kind = QueueKind::kCodel, .packets = 100};
  QueueConfig pie{.kind = QueueKind::kPie, .packets = 100};
  DirectionConfig twisted{
      .rate = ConstantRate{mbps(12)}, .queue = tail, .delay = Duration::from_ms(5), .loss = 0.1};
  twisted.delay_variation.jitter = Duration::from_ms(3);
  twisted.reordering = {.probability = 0.1, .extra = Duration::from_ms(4)};
  twisted.duplication = 0.1;
  return {
      {"wire", {.rate = ConstantRate{mbps(12)}, .queue = tail, .delay = Duration::from_ms(5), .loss = 0.05}},
      {"trace", {.rate = TraceRate{.trace = trace}, .queue = tail, .delay = Duration::from_ms(5)}},
      {"drop_head", {.rate = PoissonRate{mbps(6)}, .queue = head}},
      {"codel", {.rate = ConstantRate{mbps(6)}, .queue = codel}},
      {"pie", {.rate = CellularRate{}, .queue = pie, .delay = Duration::from_ms(1)}},
      {"twisted", twisted},
      {"all_lost", {.rate = ConstantRate{mbps(12)}, .loss = 1}},
  };
}

// A second of bursts, about 14 Mbit/s.
std::vector<Arrival> traffic() {
  Rng rng(5);
  std::vector<Arrival> arrivals;
  for (TimePoint at; at < TimePoint::from_ms(1'000); at += Duration::from_seconds(rng.exponential(0.004))) {
    for (std::uint64_t left = 1 + rng.below(10); left > 0; --left) {
      arrivals.push_back({at, static_cast<std::uint32_t>(40 + rng.below(1'213))});
    }
  }
  return arrivals;
}

std::vector<Departure> in_virtual_time(const DirectionConfig& config, Direction::Order order,
                                       const std::vector<Arrival>& arrivals, DirectionCounters& counters) {
  Direction direction(config, order, Rng(3));
  std::vector<Departure> departures;
  const auto run = [&](TimePoint until) {
    Packet packet;
    for (TimePoint next = direction.next_event(); next <= until; next = direction.next_event()) {
      if (direction.advance(next, packet))
        departures.push_back({static_cast<std::uint32_t>(packet.id), next});
    }
  };
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    run(arrivals[i].at);
    Packet packet;
    packet.id = i;
    packet.size_bytes = arrivals[i].size + 28;
    direction.enter(arrivals[i].at, packet);
  }
  run(TimePoint::from_ms(60'000));
  counters = direction.counters();
  return departures;
}

class LateRelay {
 public:
  LateRelay(const DirectionConfig& config, Direction::Order order) : relay(config, order, Rng(3), 28, pool) {}

  void enter(std::uint32_t number, const Arrival& arrival) {
    Datagram* datagram = pool.take();
    ASSERT_NE(datagram, nullptr);
    datagram->size = arrival.size;
    std::memcpy(datagram->bytes.data(), &number, sizeof(number));
    relay.enter(arrival.at, datagram);
  }
  void run(TimePoint until) {
    TimePoint due;
    while (const Datagram* datagram = relay.advance(until, due)) {
      std::uint32_t number = 0;
      std::memcpy(&number, datagram->bytes.data(), sizeof(number));
      departures.push_back({number, due});
    }
  }

  DatagramPool pool{1 << 12};
  Relay relay;
  std::vector<Departure> departures;
};

class RelayBesideDirection : public testing::TestWithParam<std::tuple<Case, Direction::Order>> {};

TEST_P(RelayBesideDirection, LatenessOfTheHostChangesNothing) {
  const auto& [made, order] = GetParam();
  const std::vector<Arrival> arrivals = traffic();
  DirectionCounters expected;
  const auto departures = in_virtual_time(made.config, order, arrivals, expected);

  LateRelay late(made.config, order);
  Rng host(9);
  // The host looks every few milliseconds, reads what came by then and writes what was due by then.
  std::size_t next = 0;
  std::size_t most_held = 0;
  for (TimePoint now; now < TimePoint::from_ms(60'000);
       now += Duration::from_seconds(host.exponential(0.007))) {
    for (; next < arrivals.size() && arrivals[next].at <= now; ++next) {
      late.run(arrivals[next].at);
      late.enter(static_cast<std::uint32_t>(next), arrivals[next]);
    }
    late.run(now);
    most_held = std::max(most_held, late.pool.in_use());
  }
  EXPECT_EQ(late.departures, departures);
  EXPECT_EQ(late.relay.counters().entered, expected.entered);
  EXPECT_EQ(late.relay.counters().queue_drops, expected.queue_drops);
  EXPECT_EQ(late.relay.counters().random_losses, expected.random_losses);
  EXPECT_EQ(late.relay.counters().duplicated, expected.duplicated);
  EXPECT_EQ(late.relay.packets_inside(), 0);
  // Lost packets' memory is found again: of some 1,400 packets a few hundred are held at once.
  EXPECT_LT(most_held, 700u);
}

INSTANTIATE_TEST_SUITE_P(All, RelayBesideDirection,
                         testing::Combine(testing::ValuesIn(cases()),
                                          testing::Values(Direction::Order::kLinkLossDelay,
                                                          Direction::Order::kDelayLossLink)),
                         [](const auto& played) {
                           const bool data = std::get<1>(played.param) == Direction::Order::kLinkLossDelay;
                           return std::get<0>(played.param).name + (data ? "_data" : "_acks");
                         });

TEST(Relay, GivesItsMemoryBack) {
  DatagramPool pool(1 << 10);
  {
    Relay relay({.rate = ConstantRate{mbps(1)}}, Direction::Order::kLinkLossDelay, Rng(1), 28, pool);
    for (int i = 0; i < 10; ++i) {
      Datagram* datagram = pool.take();
      datagram->size = 1252;
      relay.enter(TimePoint::from_ms(i), datagram);
    }
    EXPECT_EQ(pool.in_use(), 10u);
  }
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(Relay, AnArrivalBeforeTheLatestEventCountsAsThen) {
  LateRelay late({.rate = ConstantRate{mbps(8)}}, Direction::Order::kLinkLossDelay);
  late.enter(0, {TimePoint::from_ms(10), 972});
  late.run(TimePoint::from_ms(20));
  late.enter(1, {TimePoint::from_ms(5), 972});
  late.run(TimePoint::from_ms(30));
  EXPECT_EQ(late.departures,
            (std::vector<Departure>{{0, TimePoint::from_ms(11)}, {1, TimePoint::from_ms(12)}}));
}

}  // namespace
}  // namespace mvfstrl
