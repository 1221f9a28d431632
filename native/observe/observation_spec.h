// The description of an observation and of the actions that answer it. It exists only here and is exported to
// Python, to every checkpoint and to every exported policy; loading checks equality.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "observe/config.h"

namespace mvfstrl {

struct ObservationElement {
  std::string name;  // "rtt_min.mean", "past1.action[/2]", "past1.window"
  std::string unit;  // "100 ms", "1000 bytes", "1000 bytes / 100 ms", "count", "flag"
  float low = 0;
  float high = 0;
  bool operator==(const ObservationElement&) const = default;
};

struct ObservationSpec {
  // Rises with every change of an element's meaning that its name does not tell.
  static constexpr int kVersion = 1;

  int version = kVersion;
  std::string dtype = "float32";
  std::vector<ObservationElement> elements;  // the observation is one vector in this order
  std::vector<std::string> actions;
  std::string reward;
  std::string window;   // "100 ms" or "10 events"
  bool pacing = false;  // what an action sets is a window a round-trip time, evenly spread

  bool operator==(const ObservationSpec&) const = default;
};

ObservationSpec make_observation_spec(const ObservationConfig& observation, const ActionConfig& actions,
                                      const RewardConfig& reward);

// Equal for equal specs on every platform; 64 bits.
std::uint64_t spec_hash(const ObservationSpec& spec);

// One line for each difference, readable by a person: what `expected` has and `found` has instead. Empty for
// equal specs.
std::string spec_difference(const ObservationSpec& expected, const ObservationSpec& found);

}  // namespace mvfstrl
