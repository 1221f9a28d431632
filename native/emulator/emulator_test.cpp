#include "emulator/emulator.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "emulator/test_endpoint.h"
#include "emulator/udp_port.h"

namespace mvfstrl {
namespace {

struct OpenPath {
  EmulatedPath* path;
  Address client_address;
};

OpenPath open_path(Emulator& emulator, const TestEndpoint& server, double mbps = 12,
                   std::int64_t delay_ms = 10) {
  DirectionConfig direction{.rate = ConstantRate{Bandwidth::from_mbps(mbps)},
                            .delay = Duration::from_ms(delay_ms)};
  EmulatedPathConfig config;
  config.name = "test";
  config.data = config.acks = direction;
  auto client = std::make_unique<UdpClientPort>(Address::parse("127.0.0.1"));
  const Address address = client->address();
  Ports ports{.client = std::move(client), .server = std::make_unique<UdpServerPort>(server.address())};
  return {emulator.add(config, std::move(ports)), address};
}

PathReport report_of(Emulator& emulator, EmulatedPath* path) {
  return emulator.with([&] { return path->report(monotonic_now()); });
}

TEST(Emulator, RelaysBothWaysAfterTheDelay) {
  TestEndpoint server, client;
  Emulator emulator;
  const auto [path, to] = open_path(emulator, server);
  const TimePoint sent = monotonic_now();
  client.send("question", to);
  const auto question = server.receive();
  ASSERT_TRUE(question);
  EXPECT_EQ(question->text, "question");
  EXPECT_GE(monotonic_now() - sent, Duration::from_ms(10));
  server.send("answer", question->sender);
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, "answer");
  EXPECT_GE(monotonic_now() - sent, Duration::from_ms(20));

  const PathReport report = report_of(emulator, path);
  EXPECT_EQ(report.data.delivered, (Tally{1, 8 + 28}));
  EXPECT_EQ(report.acks.delivered, (Tally{1, 6 + 28}));
  EXPECT_EQ(report.data.link_bytes, ByteCount(8 + 28));
  EXPECT_EQ(report.lateness.count(), 2u);
}

TEST(Emulator, SerialisesAtTheLinksRate) {
  TestEndpoint server, client;
  Emulator emulator;
  const auto [path, to] = open_path(emulator, server, 8, 0);  // 1 ms for 1000 bytes
  const std::string full(1000 - 28, 'x');
  const TimePoint sent = monotonic_now();
  for (int i = 0; i < 50; ++i) client.send(full, to);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(server.receive());
  EXPECT_GE(monotonic_now() - sent, Duration::from_ms(50));
  const PathReport report = report_of(emulator, path);
  // The k-th waits for those before it: at most 1 to 50 ms, less where sending took its time.
  EXPECT_GE(report.data.sojourn.percentile(0).to_ms(), 0.98);
  EXPECT_LE(report.data.sojourn.percentile(1).to_ms(), 50.5);
  EXPECT_EQ(report.data.delivered.packets, 50);
}

TEST(Emulator, TellsFaultsApartAndGoesOn) {
  std::optional<TestEndpoint> server(std::in_place);
  TestEndpoint client;
  Emulator emulator;
  const auto [path, to] = open_path(emulator, *server, 12, 0);
  const Address server_address = server->address();
  server.reset();  // its port refuses from now on
  for (int i = 0; i < 3; ++i) {
    client.send("lost", to);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  client.send(std::string(kMaxDatagramBytes + 1, 'x'), to);
  server.emplace(server_address);
  const std::string longest(kMaxDatagramBytes, 'x');
  client.send(longest, to);
  const auto whole = server->receive();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->text, longest);
  client.send("heard", to);
  const auto heard = server->receive();
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->text, "heard");
  const PathReport report = report_of(emulator, path);
  EXPECT_EQ(report.faults.oversized, 1);
  EXPECT_EQ(report.faults.unsent, 3);
  EXPECT_EQ(report.data.sent.packets, 5);
}

TEST(Emulator, LosesWhatComesWhileStalled) {
  TestEndpoint server, client;
  Emulator emulator;
  const auto [path, to] = open_path(emulator, server, 12, 0);
  client.send("before", to);
  ASSERT_TRUE(server.receive());
  emulator.with([&, p = path] { p->stall(monotonic_now() + Duration::from_ms(100)); });
  client.send("during", to);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  client.send("after", to);
  const auto next = server.receive();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->text, "after");
  EXPECT_EQ(report_of(emulator, path).faults.stalled, 1);
}

TEST(Emulator, ErrorsNameTheAddress) {
  TestEndpoint server;
  try {
    UdpClientPort taken(server.address());
    FAIL() << "a port was used twice";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("cannot listen on " + server.address().text()),
              std::string::npos)
        << error.what();
  }
}

TEST(Emulator, ManyPathsFromManyThreads) {
  Emulator emulator;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&emulator] {
      TestEndpoint server, client;
      for (int round = 0; round < 3; ++round) {
        const auto [path, to] = open_path(emulator, server, 12, 1);
        for (int k = 0; k < 10; ++k) client.send("x", to);
        for (int k = 0; k < 10; ++k) EXPECT_TRUE(server.receive());
        EXPECT_EQ(report_of(emulator, path).data.delivered.packets, 10);
        emulator.remove(path);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Emulator, AQuietPathKeepsNobodyWaiting) {
  TestEndpoint server, quiet, client;
  Emulator emulator;
  const auto [path, to] = open_path(emulator, server);
  open_path(emulator, quiet);
  for (int i = 0; i < 3; ++i) {
    client.send("heard", to);
    ASSERT_TRUE(server.receive(500)) << i;
  }
}

// Its thread goes before others where the host's rules let it, and says so.
TEST(Emulator, HasThePriorityThatItClaims) {
  bool may = false;
  std::thread([&may] {
    const sched_param lowest{.sched_priority = 1};
    may = pthread_setschedparam(pthread_self(), SCHED_RR, &lowest) == 0;
  }).join();
  Emulator emulator;
  EXPECT_EQ(emulator.has_priority(), may);
  EXPECT_EQ(emulator.with([] { return sched_getscheduler(0); }), may ? SCHED_RR : SCHED_OTHER);
}

TEST(Emulator, RefusesWorkOnceClosed) {
  TestEndpoint server;
  Emulator emulator;
  open_path(emulator, server);
  emulator.close();
  emulator.close();
  EXPECT_THROW(open_path(emulator, server), std::runtime_error);
}

}  // namespace
}  // namespace mvfstrl
