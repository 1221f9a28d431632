// What the benchmarks of the environment play: a link kept full, RTT 60 ms, a buffer of one bandwidth-delay
// product.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "environment/config.h"

namespace mvfstrl {

// A flow that keeps the link full: CUBIC, or a window of the path's bandwidth-delay product and half its
// buffer.
struct Case {
  const char* name;
  double mbps;
  bool cubic;
  bool pacing;
};
constexpr Case kCases[] = {{"12mbps", 12, true, false},          {"100mbps", 100, true, false},
                           {"500mbps", 500, true, false},        {"12mbps_fixed", 12, false, false},
                           {"100mbps_fixed", 100, false, false}, {"12mbps_paced", 12, true, true},
                           {"100mbps_paced", 100, true, true}};

// Null where there is none of that name.
inline const Case* find_case(const char* name) {
  for (const Case& c : kCases) {
    if (std::strcmp(c.name, name) == 0) return &c;
  }
  return nullptr;
}

constexpr double kDelayMs = 30;       // one way
constexpr int kEpisodeWindows = 299;  // of the default 30 s, the first one's observation left aside

inline EnvironmentConfig make_config(const Case& c) {
  EnvironmentConfig config;
  ScenarioConfig& scenario = config.scenarios[0];
  scenario.uplink = scenario.downlink = ConstantRateScenario{Range::constant(c.mbps)};
  scenario.delay_ms = Range::constant(kDelayMs);
  scenario.queue.packets.reset();
  scenario.queue.bdp = Range::constant(1);
  config.transport.pacing = c.pacing ? Pacing::kAlways : Pacing::kNever;
  const double bdp_packets = c.mbps * 1e6 / 8 * 2 * kDelayMs * 1e-3 / (1252 + 28);
  if (c.cubic) {
    config.flows[0].controller = CubicConfig{};
  } else {
    config.flows[0].controller = FixedConfig{static_cast<std::int64_t>(1.5 * bdp_packets)};
  }
  return config;
}

inline void print_figure(const std::string& name, double value, const char* unit) {
  std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name.c_str(), value, unit);
  std::fflush(stdout);
}

}  // namespace mvfstrl
