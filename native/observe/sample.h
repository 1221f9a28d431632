// One network-state sample.
#pragma once

#include <array>

#include "observe/fields.h"

namespace mvfstrl {

// The twenty fields as raw values: nanoseconds, bytes, bytes/s, counts.
struct NetworkSample {
  std::array<float, kFieldCount> values{};

  float& operator[](Field field) { return values[static_cast<std::size_t>(field)]; }
  float operator[](Field field) const { return values[static_cast<std::size_t>(field)]; }
};
}  // namespace mvfstrl
