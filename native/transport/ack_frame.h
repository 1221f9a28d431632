// ACK frames (RFC 9000 section 19.3) as the receiver hands them to the path. A frame is filled in place: kept
// and reused, it stops allocating once it has seen its largest number of ranges.
#pragma once

#include <cstdint>
#include <vector>

#include "common/units.h"

namespace mvfstrl {

// Packet numbers first..last, both acknowledged.
struct AckRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

struct AckFrame {
  // In falling packet number, disjoint, with at least one number between neighbours; never empty in a frame
  // that a receiver made. The largest acknowledged is ranges.front().last.
  std::vector<AckRange> ranges;
  Duration ack_delay;  // as decoded by the peer: rounded down to the exponent's unit
  ByteCount payload;   // UDP payload of the packet that carries the frame, padding included

  std::uint64_t largest() const { return ranges.front().last; }
};

// A data packet: what the sender knows of it besides its fate.
struct DataPacket {
  std::uint64_t packet_number = 0;
  ByteCount payload;  // UDP payload
};

}  // namespace mvfstrl
