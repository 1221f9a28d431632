// What a path carries: as little of a packet as the path needs. 32 bytes, copied by value.
#pragma once

#include <cstdint>

#include "common/units.h"

namespace mvfstrl {

struct Packet {
  std::uint64_t id = 0;         // the owner's handle (a packet number, an ACK's slot); never read by the path
  TimePoint entered;            // set by the path: when the packet reached the link's queue
  TimePoint left;               // set by the path: when its last byte left the link; left - entered = sojourn
  std::uint32_t flow : 31 = 0;  // which flow owns it; never read by the path
  bool copy : 1 = false;        // set by the path: a duplicate, whose original comes as well
  std::uint32_t size_bytes = 0;  // bytes on the link, overhead included
};
static_assert(sizeof(Packet) == 32);

}  // namespace mvfstrl
