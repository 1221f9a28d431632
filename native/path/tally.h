// Packets and bytes, counted together.
#pragma once

#include <cstdint>

namespace mvfstrl {

struct Tally {
  std::int64_t packets = 0;
  std::int64_t bytes = 0;

  void add(std::int64_t size_bytes) {
    ++packets;
    bytes += size_bytes;
  }
  Tally operator+(const Tally& o) const { return {packets + o.packets, bytes + o.bytes}; }
  bool operator==(const Tally&) const = default;
};

}  // namespace mvfstrl
