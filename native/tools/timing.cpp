#include "tools/timing.h"

#include <time.h>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace mvfstrl::tools {
namespace {

constexpr std::size_t kGroup = 50;  // decisions timed one by one, then together, in each turn

double thread_time_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

void turn(Timed& timed, double clock_cost) {
  for (std::size_t i = 0; i < kGroup; ++i) {
    const double begin = thread_time_us();
    timed.decide();
    timed.single.push_back(std::max(0.0, thread_time_us() - begin - clock_cost));
  }
  const double begin = thread_time_us();
  for (std::size_t i = 0; i < kGroup; ++i) timed.decide();
  timed.grouped_us += thread_time_us() - begin;
  timed.grouped += kGroup;
}

}  // namespace

double clock_cost_us() {
  std::vector<double> empty(10'000);
  for (double& value : empty) {
    const double begin = thread_time_us();
    value = thread_time_us() - begin;
  }
  return quantile(empty, 0.5);
}

void time_in_turns(std::vector<Timed>& timed, double seconds, double clock_cost) {
  for (Timed& each : timed) {
    for (std::size_t i = 0; i < kGroup; ++i) each.decide();  // libtorch compiles in its first calls
  }
  bool unfinished = true;
  while (unfinished) {
    unfinished = false;
    for (Timed& each : timed) {
      if (2 * each.grouped_us >= seconds * 1e6) continue;  // single decisions took about as much
      turn(each, clock_cost);
      unfinished = true;
    }
  }
}

double quantile(std::vector<double>& values, double q) {
  assert(!values.empty());
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(rank, 1, values.size()) - 1);
  std::ranges::nth_element(values, at);
  return *at;
}

}  // namespace mvfstrl::tools
