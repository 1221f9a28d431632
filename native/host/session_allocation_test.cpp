// A packet allocates nothing once lists and rings have grown: every allocation of this program is counted.
#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "common/test_memory.h"
#include "host/session.h"
#include "policy/test_network.h"

namespace mvfstrl {
namespace {

constexpr int kRounds = 200;

// One window a round trip of 40 ms in packets of a flight, every thirtieth lost, and answers.
void round_trips(Session& session, std::uint64_t& number, std::int64_t& ms, int rounds) {
  constexpr std::uint64_t kFlight = 60;
  for (int round = 0; round < rounds; ++round, ms += 40) {
    const TimePoint sent = TimePoint::from_ms(ms), acked = TimePoint::from_ms(ms + 40);
    for (std::uint64_t i = 0; i < kFlight; ++i) {
      session.packet_sent(sent, {.number = number + i, .size = ByteCount(1252)});
    }
    for (std::uint64_t i = 0; i < kFlight; ++i, ++number) {
      if (i % 30 == 5) {
        session.packet_lost(number);
      } else {
        session.packet_acked(number);
      }
      if (i % 10 < 9) continue;
      session.rtt_sample(Duration::from_ms(40), Duration::zero());
      session.flush(acked);
    }
    if (session.poll(acked)) session.answer(acked, 0);
  }
}

std::int64_t allocations_after_warm_up(Session& session) {
  std::uint64_t number = 0;
  std::int64_t ms = 0;
  session.start(TimePoint::zero());
  round_trips(session, number, ms, 600);
  const std::int64_t before = CountedMemory::allocations();
  round_trips(session, number, ms, kRounds);
  return CountedMemory::allocations() - before;
}

template <std::size_t... Is>
std::vector<ControllerConfig> catalogue(std::index_sequence<Is...>) {
  return {ControllerConfig(std::in_place_index<Is>)...};
}

TEST(SessionAllocations, ThereAreNoneAPacketWhateverTheController) {
  constexpr auto kKinds = std::make_index_sequence<std::variant_size_v<ControllerConfig>>{};
  for (const ControllerConfig& controller : catalogue(kKinds)) {
    SessionConfig config;
    config.controller = controller;
    Session session(config, Rng(1), Rng(2));
    // Vivace's queues of monitor intervals, one a round trip, take a block of memory at times.
    const bool queues = std::holds_alternative<VivaceConfig>(controller);
    EXPECT_LE(allocations_after_warm_up(session), queues ? kRounds : 0) << controller_name(controller);
  }
}

TEST(SessionAllocations, ThereAreNoneWithAPolicyAndAGuard) {
  SessionConfig config;
  config.guard = GuardConfig{};
  const auto model = std::make_shared<PolicyModel>(
      test::random_policy({.layers = 1, .hidden_size = 16, .lstm_layers = 1}), PolicyOptions{});
  Session session(config, Rng(1), Rng(2), model);
  EXPECT_EQ(allocations_after_warm_up(session), 0);
}

}  // namespace
}  // namespace mvfstrl
