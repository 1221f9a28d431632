// CoDel, the controlled-delay discipline of RFC 8289: drops at the head, at dequeue time, once packets have
// stayed longer than `target` for at least `interval`, ever more often while that lasts.
#pragma once

#include <cstdint>

#include "common/units.h"
#include "path/config.h"
#include "path/packet_buffer.h"
#include "path/tally.h"

namespace mvfstrl {

class Codel {
 public:
  explicit Codel(const CodelParameters& parameters) : parameters_(parameters) {}

  // To be told of every admitted packet: the largest one seen stands for the MTU, below which nothing is
  // dropped.
  void on_admit(std::uint32_t size_bytes) {
    if (size_bytes > largest_packet_) largest_packet_ = size_bytes;
  }
  // The next packet to send into `out`; what is dropped on the way is added to `drops`. False if nothing is
  // left.
  bool take(TimePoint now, PacketBuffer& buffer, Packet& out, Tally& drops);

 private:
  // RFC 8289 section 5.6, dodequeue: pops one packet and judges whether it may be dropped.
  struct Candidate {
    bool present = false;
    bool may_drop = false;
  };
  Candidate pop(TimePoint now, PacketBuffer& buffer, Packet& out);
  TimePoint control_law(TimePoint from) const;

  CodelParameters parameters_;
  TimePoint first_above_ = TimePoint::never();  // when the delay will have been above target for an interval
  TimePoint drop_next_;
  std::uint32_t count_ = 0;       // drops since dropping began
  std::uint32_t last_count_ = 0;  // count_ when dropping last began
  std::uint32_t largest_packet_ = 0;
  bool dropping_ = false;
};

}  // namespace mvfstrl
