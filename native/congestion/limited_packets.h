// Which packets were sent while the controller itself, not the path, held the rate down (ProbeRTT): their
// delivery says nothing about the bandwidth.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "congestion/controller.h"

namespace mvfstrl {

class LimitedPackets {
 public:
  // From packet `next` on, until one of these is acknowledged.
  void mark(std::uint64_t next) {
    if (spans_.empty() || spans_.back().end != kOpen) spans_.push_back({next, kOpen});
    ends_after_ = next;
  }
  // Ends the phase if this ACK does, for packets sent after it, and forgets phases that it leaves behind.
  void on_ack(const AckEvent& ack) {
    if (spans_.empty()) return;
    const std::uint64_t oldest = ack.packets.front().packet_number;
    spans_.erase(spans_.begin(), std::find_if(spans_.begin(), spans_.end(),
                                              [&](const Span& span) { return span.end > oldest; }));
    if (spans_.empty() || spans_.back().end != kOpen) return;
    if (ack.packets.back().packet_number >= ends_after_) spans_.back().end = ack.largest_sent + 1;
  }
  bool contains(std::uint64_t packet_number) const {
    return std::any_of(spans_.begin(), spans_.end(), [&](const Span& span) {
      return packet_number >= span.first && packet_number < span.end;
    });
  }

 private:
  struct Span {
    std::uint64_t first;
    std::uint64_t end;
  };
  static constexpr std::uint64_t kOpen = UINT64_MAX;

  std::vector<Span> spans_;
  std::uint64_t ends_after_ = 0;
};

}  // namespace mvfstrl
