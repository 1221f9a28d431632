// What an environment takes from the heap, and when.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/test_memory.h"
#include "environment/environment.h"
#include "environment/vector_environment.h"

namespace mvfstrl {
namespace {

constexpr std::int64_t kKilobyte = 1024;
constexpr int kWarmUp = 60;  // windows: slow start, its overshoot and what it lost are over

// RTT 60 ms, a buffer of one bandwidth-delay product, and a flow that keeps it full.
EnvironmentConfig full_link(double mbps, const SchemeConfig& controller) {
  EnvironmentConfig config;
  ScenarioConfig& scenario = config.scenarios[0];
  scenario.uplink = scenario.downlink = ConstantRateScenario{Range::constant(mbps)};
  scenario.delay_ms = Range::constant(30);
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range::constant(1);
  config.flows[0].controller = controller;
  return config;
}

// Windows of an episode, but for its first, played with one action; ends before the episode does.
void play(Environment& environment, int windows, std::int32_t action = 0) {
  for (int i = 0; i < windows; ++i) environment.step(action);
}

struct Usage {
  std::int64_t live = 0;  // after an episode and well into another
  std::int64_t peak = 0;
  std::int64_t steady_allocations = 0;
  std::int64_t reset_allocations = 0;
};

Usage usage_of(const EnvironmentConfig& config) {
  const EnvironmentShared shared(config);
  const std::int64_t before = CountedMemory::live_bytes();
  CountedMemory::reset_peak();
  const auto environment = std::make_unique<Environment>(shared);
  environment->reset(1);
  play(*environment, 290);
  Usage usage;
  const std::int64_t at_reset = CountedMemory::allocations();
  environment->reset(2);
  usage.reset_allocations = CountedMemory::allocations() - at_reset;
  play(*environment, kWarmUp);
  const std::int64_t warm = CountedMemory::allocations();
  play(*environment, 290 - kWarmUp);
  usage.steady_allocations = CountedMemory::allocations() - warm;
  usage.live = CountedMemory::live_bytes() - before;
  usage.peak = CountedMemory::peak_bytes() - before;
  return usage;
}

TEST(Memory, AnEnvironmentAt12MbpsTakesAtMost64Kilobytes) {
  const Usage usage = usage_of(full_link(12, CubicConfig{}));
  RecordProperty("live", std::to_string(usage.live));
  EXPECT_LE(usage.live, 64 * kKilobyte);
  EXPECT_LE(usage.peak, 64 * kKilobyte);
}

// 1500 packets in flight.
TEST(Memory, GrowsWithPacketsInFlight) {
  const Usage slow = usage_of(full_link(12, CubicConfig{}));
  const Usage fast = usage_of(full_link(100, CubicConfig{}));
  EXPECT_GT(fast.live, slow.live);
  EXPECT_LE(fast.live, 5 * slow.live);
}

TEST(Memory, ManyEnvironmentsShareWhatIsReadOnly) {
  EnvironmentConfig config = full_link(12, CubicConfig{});
  config.scenarios[0].uplink = ConstantTraceScenario{.mbps = Range::constant(12), .start_ms = {}};
  const std::int64_t before = CountedMemory::live_bytes();
  const EnvironmentShared shared(config);
  const std::int64_t of_all = CountedMemory::live_bytes() - before;
  EXPECT_GT(of_all, 200 * kKilobyte) << "60,000 opportunities of a trace";
  EXPECT_LE(usage_of(config).live - of_all, 64 * kKilobyte);
}

TEST(Memory, AStepAllocatesNothingOnceWarm) {
  for (const double mbps : {12.0, 100.0}) {
    EXPECT_EQ(usage_of(full_link(mbps, FixedConfig{100})).steady_allocations, 0) << mbps << " Mbps";
  }
  EXPECT_EQ(usage_of(full_link(12, ExternalConfig{})).steady_allocations, 0);
}

// Lists of what is lost or missing still double now and then, on their way to their largest.
TEST(Memory, LossesAllocateHardly) {
  EXPECT_LE(usage_of(full_link(12, CubicConfig{})).steady_allocations, 2);
  EXPECT_LE(usage_of(full_link(100, CubicConfig{})).steady_allocations, 12);
}

TEST(Memory, AResetAllocatesLittle) {
  EXPECT_LE(usage_of(full_link(12, CubicConfig{})).reset_allocations, 45);
}

// With threads, groups, and rows of results.
TEST(Memory, AVectorsRoundAllocatesNothingOnceWarm) {
  VectorEnvironment environment(full_link(12, FixedConfig{100}),
                                {.num_envs = 16, .num_groups = 2, .num_threads = 2});
  const std::vector<std::int32_t> keep(8, 0);
  environment.reset(0);
  environment.reset(1);
  std::int64_t warm = 0;
  for (int round = 0; round < 200; ++round) {
    if (round == kWarmUp) warm = CountedMemory::allocations();
    for (std::int32_t group = 0; group < 2; ++group) {
      environment.recv(group);
      environment.send(group, keep);
    }
  }
  for (std::int32_t group = 0; group < 2; ++group) environment.recv(group);
  EXPECT_EQ(CountedMemory::allocations(), warm);
}

}  // namespace
}  // namespace mvfstrl
