// What happened at a link, packet by packet, as mm-link logs it. For comparing with real links and for
// analysis: recorded only where asked for.
#pragma once

#include <cstdint>
#include <vector>

#include "common/units.h"

namespace mvfstrl {

struct LinkEvent {
  enum class Kind : std::uint8_t {
    kArrival,    // a packet reached the queue
    kDrop,       // the queue dropped `packets`, of `size_bytes` in all
    kDeparture,  // a packet's last byte left the link; it may be lost at random behind it
  };
  TimePoint at;
  TimePoint entered;  // of a departure: when the packet had reached the queue
  std::uint32_t packets = 1;
  std::uint32_t size_bytes = 0;
  Kind kind = Kind::kArrival;
  std::uint32_t flow = 0;  // of an arrival or departure: whose packet it was
};

// In order of time, and where times are equal in the order in which things happened.
using LinkLog = std::vector<LinkEvent>;

}  // namespace mvfstrl
