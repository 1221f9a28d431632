// A path without network or thread: its links beside the bare directions of path/, and its books.
#include "emulator/emulated_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "emulator/test_port.h"

namespace mvfstrl {
namespace {

using Side = EmulatedPath::Side;

constexpr std::uint32_t kSize = 972;  // 1000 bytes on the link

// Two links that have nothing in common.
EmulatedPathConfig two_ways() {
  EmulatedPathConfig config;
  config.name = "two ways";
  config.data = {.rate = ConstantRate{Bandwidth::from_mbps(8)},  // a packet a millisecond
                 .queue = {.kind = QueueKind::kDropTail, .packets = 12},
                 .delay = Duration::from_ms(7),
                 .loss = 0.2};
  config.data.duplication = 0.3;
  config.acks = {.rate = ConstantRate{Bandwidth::from_mbps(4)}, .delay = Duration::from_ms(3), .loss = 0.4};
  config.data_rng = Rng(11);
  config.ack_rng = Rng(12);
  return config;
}

class Host {
 public:
  explicit Host(const EmulatedPathConfig& config, std::size_t datagrams = 1 << 10)
      : pool(datagrams), arrivals(pool), path(config, ports(), pool) {
    clock.refresh();
    zero = clock.now() - Duration::from_ms(40);
    path.start(zero);
  }

  TestPort& port(Side side) { return side == Side::kClient ? *client : *server; }
  // One datagram comes in; when, of the path's time.
  TimePoint send(Side side, const std::string& text) {
    port(side).send(text);
    return receive(side);
  }
  TimePoint receive(Side side) {
    clock.refresh();
    path.receive(side, clock, arrivals, departures);
    take_out();
    return TimePoint::zero() + (clock.now() - zero);
  }
  // All at once that is due.
  void deliver(TimePoint until) {
    path.deliver(zero + (until - TimePoint::zero()), departures);
    take_out();
  }
  // All that happens until then, one event after the other.
  void run(TimePoint until) {
    for (TimePoint next = path.next_event(); !next.is_never() && next <= zero + (until - TimePoint::zero());
         next = path.next_event()) {
      path.deliver(next, departures);
      due = TimePoint::zero() + (next - zero);
      take_out();
    }
  }
  PathReport report(TimePoint at) { return path.report(zero + (at - TimePoint::zero())); }

  DatagramPool pool;
  ReceiveBatch arrivals;
  SendBatch departures;
  StampClock clock;
  TestPort *client = nullptr, *server = nullptr;
  EmulatedPath path;
  TimePoint zero;
  TimePoint due;  // what comes out next; of the path's time
  std::vector<std::pair<std::string, TimePoint>> at_client, at_server;

 private:
  Ports ports() {
    auto first = std::make_unique<TestPort>(), second = std::make_unique<TestPort>();
    client = first.get();
    server = second.get();
    return {.client = std::move(first), .server = std::move(second)};
  }
  void take_out() {
    while (const auto text = client->receive()) at_client.emplace_back(*text, due);
    while (const auto text = server->receive()) at_server.emplace_back(*text, due);
  }
};

std::string datagram(std::size_t number) {
  std::string text = std::to_string(number) + " ";
  text.resize(kSize, 'x');
  return text;
}

struct Expected {
  std::vector<std::pair<std::string, TimePoint>> out;
  DirectionCounters counters;
};
Expected in_virtual_time(const DirectionConfig& config, Direction::Order order, const Rng& rng,
                         const std::vector<TimePoint>& entered, TimePoint until) {
  Direction direction(config, order, rng);
  Expected expected;
  const auto run = [&](TimePoint to) {
    Packet packet;
    for (TimePoint next = direction.next_event(); next <= to; next = direction.next_event()) {
      if (direction.advance(next, packet)) expected.out.emplace_back(datagram(packet.id), next);
    }
  };
  for (std::size_t i = 0; i < entered.size(); ++i) {
    run(entered[i]);
    Packet packet;
    packet.id = i;
    packet.size_bytes = kSize + 28;
    direction.enter(entered[i], packet);
  }
  run(until);
  expected.counters = direction.counters();
  return expected;
}

void expect_same(const LinkReport& report, const Expected& expected) {
  const DirectionCounters& counters = expected.counters;
  EXPECT_EQ(report.sent, counters.entered);
  EXPECT_EQ(report.queue_drops, counters.queue_drops);
  EXPECT_EQ(report.random_losses, counters.random_losses);
  EXPECT_EQ(report.duplicated_packets, counters.duplicated.packets);
  EXPECT_EQ(report.sent.packets, report.delivered.packets + report.queue_drops.packets +
                                     report.random_losses.packets + report.in_flight_packets);
}

TEST(EmulatedPath, EachWayIsALinkOfVirtualTime) {
  const EmulatedPathConfig config = two_ways();
  Host host(config);
  std::vector<TimePoint> up, down;
  for (std::size_t i = 0; i < 40; ++i) {
    up.push_back(host.send(Side::kClient, datagram(i)));
    down.push_back(host.send(Side::kServer, datagram(i)));
  }
  ASSERT_LT(up.back(), TimePoint::from_ms(1'000)) << "the machine stood still";
  for (const TimePoint until : {up.back() + Duration::from_ms(12), TimePoint::from_ms(2'000)}) {
    host.run(until);
    const Expected data =
        in_virtual_time(config.data, Direction::Order::kLinkLossDelay, config.data_rng, up, until);
    const Expected acks =
        in_virtual_time(config.acks, Direction::Order::kDelayLossLink, config.ack_rng, down, until);
    EXPECT_EQ(host.at_server, data.out);
    EXPECT_EQ(host.at_client, acks.out);
    const PathReport report = host.report(until);
    expect_same(report.data, data);
    expect_same(report.acks, acks);
    const bool all = until == TimePoint::from_ms(2'000);
    EXPECT_EQ(report.data.in_flight_packets > 0, !all);
    EXPECT_EQ(report.acks.in_flight_packets > 0, !all);
    EXPECT_GT(report.data.queue_drops.packets, 0);
    EXPECT_GT(report.data.duplicated_packets, 0);
    EXPECT_EQ(report.acks.queue_drops.packets, 0);
    EXPECT_EQ(report.length, until - TimePoint::zero());
    EXPECT_NEAR(static_cast<double>(report.data.offered_bytes.value()), report.length.to_ms() * 1000, 1);
    EXPECT_NEAR(static_cast<double>(report.acks.offered_bytes.value()), report.length.to_ms() * 500, 1);
    EXPECT_EQ(report.data.propagation, Duration::from_ms(7));
    EXPECT_EQ(report.acks.propagation, Duration::from_ms(3));
  }
}

TEST(EmulatedPath, WhatIsDueBeforeAnArrivalLeavesBeforeIt) {
  EmulatedPathConfig config;
  config.data = {.rate = ConstantRate{Bandwidth::from_mbps(8)}};
  Host host(config);
  std::vector<TimePoint> up{host.send(Side::kClient, datagram(0))};
  std::this_thread::sleep_for(std::chrono::milliseconds(3));  // nobody asks for the first meanwhile
  up.push_back(host.send(Side::kClient, datagram(1)));
  ASSERT_EQ(host.at_server.size(), 1U);
  host.run(TimePoint::from_ms(2'000));
  const Expected data =
      in_virtual_time(config.data, Direction::Order::kLinkLossDelay, Rng(), up, TimePoint::from_ms(2'000));
  EXPECT_EQ(host.at_server.back(), data.out.back());
}

// Someone sends faster than the host reads: what it has not read may come before what it would deliver.
TEST(EmulatedPath, NothingIsDeliveredBeyondWhatHasBeenRead) {
  EmulatedPathConfig config;
  config.data = {.rate = ConstantRate{Bandwidth::from_mbps(8)}};
  Host host(config, 1 << 12);
  const Descriptor zeros(open("/dev/zero", O_RDONLY | O_CLOEXEC), "/dev/zero");
  host.client->device = zeros.get();
  const TimePoint read_until = host.receive(Side::kClient);
  host.deliver(read_until + Duration::from_ms(3));
  EXPECT_TRUE(host.at_server.empty());
  host.client->device = -1;
  host.receive(Side::kClient);
  host.deliver(read_until + Duration::from_ms(9));
  EXPECT_EQ(host.at_server.size(), 4U);  // of 2064 bytes each
}

TEST(EmulatedPath, TimeZeroIsSetOnce) {
  Host host{EmulatedPathConfig()};
  host.path.start(host.zero + Duration::from_ms(30));
  EXPECT_EQ(host.report(TimePoint::from_ms(50)).length, Duration::from_ms(50));
}

TEST(EmulatedPath, TellsFaultsApart) {
  Host host(EmulatedPathConfig(), 256);  // of which 64 wait to be filled at either time
  host.client->known = false;
  host.send(Side::kServer, "to whom?");
  host.client->known = true;
  host.server->refused = true;
  host.receive(Side::kServer);
  host.client->lost = 3;
  host.server->lost = 4;
  host.server->unsent = 5;
  host.send(Side::kClient, "out at once");
  host.run(TimePoint::from_ms(2'000));
  host.path.stall(host.zero + Duration::from_ms(10'000));
  host.send(Side::kClient, "stalled");
  host.path.stall(TimePoint::zero());
  for (int i = 0; i < 400; ++i) host.send(Side::kServer, datagram(0));  // 1.5 a millisecond may leave
  const RelayFaults faults = host.report(TimePoint::from_ms(2'000)).faults;
  EXPECT_EQ(faults.unaddressed, 1);
  EXPECT_EQ(faults.unsent, 1 + 5);
  EXPECT_EQ(faults.stalled, 1);
  EXPECT_EQ(faults.overruns, 3 + 4);
  EXPECT_EQ(faults.oversized, 0);
  const PathReport report = host.report(TimePoint::from_ms(2'000));
  EXPECT_EQ(report.data.sent.packets, 1);
  EXPECT_GT(faults.overflow, 0);
  EXPECT_EQ(report.acks.sent.packets, 400 - faults.overflow);
}

TEST(EmulatedPath, LatenessIsWhatTheHostAddsToADelay) {
  EmulatedPathConfig config;
  config.data.delay = Duration::from_ms(1);
  Host host(config);
  const TimePoint sent = host.send(Side::kClient, datagram(0));
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  host.run(sent + Duration::from_ms(20));
  ASSERT_EQ(host.at_server.size(), 1U);
  const PathReport report = host.report(TimePoint::from_ms(100));
  EXPECT_EQ(report.lateness.count(), 1U);
  EXPECT_GE(report.lateness_max, Duration::from_ms(28));
  EXPECT_LT(report.lateness_max, Duration::from_ms(30 + 39)) << "of its due time, not of time zero";
  EXPECT_NEAR(report.lateness.percentile(0.99).to_ms(), report.lateness_max.to_ms(), 2);
  EXPECT_TRUE(report.late());
}

TEST(EmulatedPath, RecordsTheDataLinksWindows) {
  EmulatedPathConfig config = two_ways();
  EXPECT_TRUE(Host(config).report(TimePoint::from_ms(100)).series.empty());
  config.series = Duration::from_ms(10);
  Host host(config);
  for (std::size_t i = 0; i < 20; ++i) {
    host.send(Side::kClient, datagram(i));
    host.send(Side::kServer, datagram(i));
  }
  host.run(TimePoint::from_ms(2'000));
  const PathReport report = host.report(TimePoint::from_ms(2'005));
  ASSERT_EQ(report.series.size(), 200U);
  std::int64_t left = 0;
  for (const LinkPoint& point : report.series) {
    left += point.left.bytes;
    EXPECT_EQ(point.offered, ByteCount(10'000));
  }
  EXPECT_EQ(ByteCount(left), report.data.link_bytes);
  EXPECT_GT(left, 0);
}

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(EmulatedPath, LogsEachLink) {
  EmulatedPathConfig config = two_ways();
  config.log = testing::TempDir() + "/emulated_path-" + std::to_string(getpid());
  {
    Host host(config);
    host.send(Side::kClient, datagram(0));
    host.send(Side::kServer, datagram(1));
    host.run(TimePoint::from_ms(2'000));
    host.report(TimePoint::from_ms(2'000));
  }
  for (const auto& [end, of, offered] : {std::tuple(".uplink.log", "uplink of two ways", "1000"),
                                         std::tuple(".downlink.log", "downlink of two ways", "500")}) {
    const std::vector<std::string> lines = lines_of(*config.log + end);
    ASSERT_GT(lines.size(), 4U) << end;
    EXPECT_EQ(lines[0], std::string("# mvfst-rl emulator (") + of + ")");
    const std::string init = "# init timestamp: ";
    ASSERT_EQ(lines[1].find(init), 0U) << lines[1];
    const double seconds = std::stod(lines[1].substr(init.size())) / 1e3;
    EXPECT_NEAR(seconds, static_cast<double>(std::time(nullptr)), 100);
    EXPECT_EQ(lines.back(), std::string("1999 # ") + offered);
    EXPECT_EQ(std::ranges::count_if(lines, [](const auto& line) { return line.ends_with(" + 1000"); }), 1)
        << end;
    std::filesystem::remove(*config.log + end);
  }
}

}  // namespace
}  // namespace mvfstrl
