#include "tools/timing.h"

#include <time.h>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace mvfstrl::tools {
namespace {

constexpr std::size_t kWarmUp = 10;  // decisions; libtorch compiles in its first ones
constexpr std::size_t kLargestGroup = 50;
constexpr double kTurnUs = 10'000;  // about so long is a group at most

double thread_time_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

void warm_up(Timed& timed) {
  for (std::size_t i = 1; i < kWarmUp; ++i) timed.decide();
  const double begin = thread_time_us();
  timed.decide();
  const double took = std::max(1.0, thread_time_us() - begin);
  timed.group = std::clamp<std::size_t>(static_cast<std::size_t>(kTurnUs / took), 1, kLargestGroup);
}

void turn(Timed& timed, double clock_cost) {
  for (std::size_t i = 0; i < timed.group; ++i) {
    const double begin = thread_time_us();
    timed.decide();
    timed.single.push_back(std::max(0.0, thread_time_us() - begin - clock_cost));
  }
  const double begin = thread_time_us();
  for (std::size_t i = 0; i < timed.group; ++i) timed.decide();
  timed.grouped_us += thread_time_us() - begin;
  timed.grouped += timed.group;
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
  for (Timed& each : timed) warm_up(each);
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
