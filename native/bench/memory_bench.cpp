// Counts what environments take from the heap: prints one JSON object {name, value, unit} a line. No figure
// depends on the machine or on its load.
#include <cstdint>
#include <memory>
#include <string>

#include "bench/cases.h"
#include "common/test_memory.h"
#include "environment/environment.h"

namespace mvfstrl {
namespace {

constexpr int kWarmUp = 60;  // windows

void play(Environment& environment, int windows) {
  for (int i = 0; i < windows; ++i) environment.step(0);
}

// An environment in its second episode: by then it has what it will ever need.
void count(const Case& c) {
  const EnvironmentShared shared(make_config(c));
  const std::int64_t without = CountedMemory::live_bytes();
  CountedMemory::reset_peak();
  const auto environment = std::make_unique<Environment>(shared);
  environment->reset(1);
  play(*environment, kEpisodeWindows);
  environment->finish();
  const std::int64_t before_reset = CountedMemory::allocations();
  environment->reset(2);
  const std::int64_t after_reset = CountedMemory::allocations();
  play(*environment, kWarmUp);
  const std::int64_t warm = CountedMemory::allocations();
  play(*environment, kEpisodeWindows - 1 - kWarmUp);
  const auto steps = static_cast<double>(kEpisodeWindows - 1 - kWarmUp);
  const auto steady = static_cast<double>(CountedMemory::allocations() - warm);
  const auto live = static_cast<double>(CountedMemory::live_bytes() - without);
  const auto peak = static_cast<double>(CountedMemory::peak_bytes() - without);
  print_figure(std::string("bytes_per_environment_") + c.name, live, "bytes/environment");
  print_figure(std::string("peak_bytes_per_environment_") + c.name, peak, "bytes/environment");
  print_figure(std::string("allocations_per_step_") + c.name, steady / steps, "allocations/step");
  print_figure(std::string("allocations_per_reset_") + c.name,
               static_cast<double>(after_reset - before_reset), "allocations/reset");
}

}  // namespace
}  // namespace mvfstrl

int main() {
  for (const char* name : {"12mbps", "100mbps", "12mbps_paced"}) mvfstrl::count(*mvfstrl::find_case(name));
  return 0;
}
