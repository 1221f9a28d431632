// RFC 9002 section 7.6, as mvfst tells it.
#pragma once

#include <algorithm>
#include <span>

#include "congestion/controller.h"

namespace mvfstrl {

// Within one event, the losses span `longest` and no packet sent between them is acknowledged by the same
// ACK.
inline bool is_persistent_congestion(std::span<const AckedPacket> acked, std::span<const LostPacket> lost,
                                     Duration longest) {
  if (acked.empty() || lost.empty()) return false;
  const TimePoint first = lost.front().sent_time;
  const TimePoint last = lost.back().sent_time;
  if (last - first < longest) return false;
  return std::none_of(acked.begin(), acked.end(), [&](const AckedPacket& packet) {
    return packet.sent_time >= first && packet.sent_time <= last;
  });
}

}  // namespace mvfstrl
