// The bounds that a transport puts on any controller's window, in packets as mvfst configures them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/units.h"

namespace mvfstrl {

struct WindowLimits {
  ByteCount packet_size{1252};  // UDP payload of a full packet (QuicConstants.h: IPv4 default)
  std::int64_t initial_packets = 10;
  std::int64_t minimum_packets = 2;
  // mvfst's performance tool raises the library's 2000 so that the bound never binds.
  std::int64_t maximum_packets = 860'000;

  constexpr ByteCount initial() const { return packet_size * initial_packets; }
  constexpr ByteCount minimum() const { return packet_size * minimum_packets; }
  constexpr ByteCount maximum() const { return packet_size * maximum_packets; }
  constexpr ByteCount bound(ByteCount window) const {
    return std::max(std::min(window, maximum()), minimum());
  }
  // Throws std::invalid_argument naming the bad field.
  void validate() const;
};

}  // namespace mvfstrl
