// Measures environments in one thread, in CPU time: prints one JSON object {name, value, unit} a line.
//
//   environment_bench                          every figure of one environment
//   environment_bench --many                   windows a second of 1 to 4096 environments, stepped in turns
//   environment_bench --run CASE WINDOWS       runs so many windows of one case and prints the packets
//                                              delivered: two lengths under valgrind give the instructions
//                                              that a packet costs
//   environment_bench --compiler               what it was compiled by
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "bench/cases.h"
#include "environment/environment.h"
#include "environment/vector_environment.h"

namespace mvfstrl {
namespace {

#ifdef __clang__
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

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

// The best of a few rounds: other load on the machine only ever slows one down.
void measure(const Case& c) {
  const EnvironmentShared shared(make_config(c));
  const auto windows = static_cast<std::int64_t>(kEpisodeWindows * 10 * 12 / c.mbps * 10);
  double windows_per_second = 0;
  double packets_per_second = 0;
  for (int round = 0; round < 5; ++round) {
    const double start = cpu_seconds();
    const Totals totals = run(shared, windows);
    const double seconds = cpu_seconds() - start;
    windows_per_second = std::max(windows_per_second, static_cast<double>(totals.windows) / seconds);
    packets_per_second = std::max(packets_per_second, static_cast<double>(totals.packets) / seconds);
  }
  print_figure(std::string("windows_per_second_") + c.name, windows_per_second, "windows/s");
  print_figure(std::string("packets_per_second_") + c.name, packets_per_second, "packets/s");
}

// Round after round of all `count` environments, well into an episode; the best of a few times as many
// windows.
void measure_many(std::int32_t count) {
  constexpr std::int64_t kWindows = 16'384;
  VectorEnvironment environment(make_config(kCases[0]), {.num_envs = count, .num_threads = 0});
  const std::vector<std::int32_t> keep(static_cast<std::size_t>(count), 0);
  const auto step = [&](std::int64_t rounds) {
    for (std::int64_t i = 0; i < rounds; ++i) {
      environment.send(0, keep);
      environment.recv(0);
    }
  };
  environment.reset(0);
  environment.recv(0);
  step(20);
  double best = 0;
  for (int time = 0; time < 5; ++time) {
    const std::int64_t rounds = std::max<std::int64_t>(1, kWindows / count);
    const double start = cpu_seconds();
    step(rounds);
    const double seconds = cpu_seconds() - start;
    best = std::max(best, static_cast<double>(rounds * count) / seconds);
  }
  print_figure("windows_per_second_of_" + std::to_string(count) + "_environments", best, "windows/s");
}

int run_case(const char* name, const char* windows) {
  const Case* c = find_case(name);
  if (c == nullptr) {
    std::fprintf(stderr, "environment_bench: no case named %s\n", name);
    return 2;
  }
  const EnvironmentShared shared(make_config(*c));
  std::printf("%lld\n", static_cast<long long>(run(shared, std::atoll(windows)).packets));
  return 0;
}

}  // namespace
}  // namespace mvfstrl

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (argc == 4 && mode == "--run") return mvfstrl::run_case(argv[2], argv[3]);
  if (argc == 2 && mode == "--compiler") {
    std::printf("%s\n", mvfstrl::kCompiler);
  } else if (argc == 2 && mode == "--many") {
    for (const std::int32_t count : {1, 64, 256, 1024, 4096}) mvfstrl::measure_many(count);
  } else if (argc == 1) {
    for (const mvfstrl::Case& c : mvfstrl::kCases) mvfstrl::measure(c);
  } else {
    std::fprintf(stderr, "usage: environment_bench [--many | --run CASE WINDOWS | --compiler]\n");
    return 2;
  }
  return 0;
}
