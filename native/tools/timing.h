// How long one decision takes, in the processor time of this thread.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace mvfstrl::tools {

// What is timed: `decide` makes one decision (of a whole batch).
struct Timed {
  std::function<void()> decide;
  // A decision each, microseconds.
  std::vector<double> single;
  // Time and number of decisions that were made without looking at the clock.
  double grouped_us = 0;
  std::size_t grouped = 0;
  std::size_t group = 0;  // decisions in a turn: first one by one, then together

  double mean_us() const { return grouped_us / static_cast<double>(grouped); }
};

// Microseconds that reading the clock adds to what is timed: the median of nothing, timed many times.
double clock_cost_us();

// Times all of them in turns, until each has used `seconds`. `clock_cost` is taken off single decisions;
// groups are long enough for it not to count.
void time_in_turns(std::vector<Timed>& timed, double seconds, double clock_cost);

// The value that a share `q` of `values` does not exceed (nearest rank). Needs values; reorders them.
double quantile(std::vector<double>& values, double q);

}  // namespace mvfstrl::tools
