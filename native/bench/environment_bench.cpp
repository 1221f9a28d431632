// Measures environments in one thread, in CPU time: prints one JSON object {name, value, unit} a line.
//
//   environment_bench                          every figure
//   environment_bench --run CASE WINDOWS       runs so many windows of one case and prints the packets
//   delivered:
//                                              two lengths under valgrind give the instructions a packet
//                                              costs
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>

#include "environment/environment.h"

namespace mvfstrl {
namespace {

// A flow that keeps the link full: CUBIC, or a window of the path's bandwidth-delay product and half its
// buffer.
struct Case {
  const char* name;
  double mbps;
  bool cubic;
  bool pacing;
};
constexpr Case kCases[] = {{"12mbps", 12, true, false},        {"100mbps", 100, true, false},
                           {"12mbps_fixed", 12, false, false}, {"100mbps_fixed", 100, false, false},
                           {"12mbps_paced", 12, true, true},   {"100mbps_paced", 100, true, true}};

constexpr double kDelayMs = 30;  // one way: RTT 60 ms

EnvironmentConfig make_config(const Case& c) {
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

struct Totals {
  std::int64_t windows = 0;
  std::int64_t packets = 0;
};

// Whole episodes until `windows` are done, resets and reports included.
Totals run(const EnvironmentShared& shared, std::int64_t windows) {
  Environment environment(shared);
  std::vector<float> observation(environment.observation_size());
  Totals totals;
  for (std::uint64_t seed = 0; totals.windows < windows; ++seed) {
    environment.reset(seed);
    StepResult result;
    while (totals.windows < windows && !result.truncated) {
      result = environment.step(0);
      environment.write_observation(observation);
      ++totals.windows;
    }
    totals.packets += environment.finish().flows[0].delivered_packets;
  }
  return totals;
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void print(const std::string& name, double value, const char* unit) {
  std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name.c_str(), value, unit);
}

// The best of a few rounds: other load on the machine only ever slows one down.
void measure(const Case& c) {
  const EnvironmentShared shared(make_config(c));
  const auto windows = static_cast<std::int64_t>(299 * 10 * 12 / c.mbps * 10);
  double windows_per_second = 0;
  double packets_per_second = 0;
  for (int round = 0; round < 5; ++round) {
    const double start = cpu_seconds();
    const Totals totals = run(shared, windows);
    const double seconds = cpu_seconds() - start;
    windows_per_second = std::max(windows_per_second, static_cast<double>(totals.windows) / seconds);
    packets_per_second = std::max(packets_per_second, static_cast<double>(totals.packets) / seconds);
  }
  print(std::string("windows_per_second_") + c.name, windows_per_second, "windows/s");
  print(std::string("packets_per_second_") + c.name, packets_per_second, "packets/s");
}

int run_case(const char* name, const char* windows) {
  for (const Case& c : kCases) {
    if (std::strcmp(c.name, name) != 0) continue;
    const EnvironmentShared shared(make_config(c));
    std::printf("%lld\n", static_cast<long long>(run(shared, std::atoll(windows)).packets));
    return 0;
  }
  std::fprintf(stderr, "environment_bench: no case named %s\n", name);
  return 2;
}

}  // namespace
}  // namespace mvfstrl

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--run") == 0) return mvfstrl::run_case(argv[2], argv[3]);
  if (argc != 1) {
    std::fprintf(stderr, "usage: environment_bench [--run CASE WINDOWS]\n");
    return 2;
  }
  for (const mvfstrl::Case& c : mvfstrl::kCases) mvfstrl::measure(c);
  return 0;
}
