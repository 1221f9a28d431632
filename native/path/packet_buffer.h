// The storage of a queue: packets in order of arrival, with their total size. Which packet is admitted or
// dropped is the discipline's matter (queue.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/units.h"
#include "path/packet.h"
#include "path/ring.h"

namespace mvfstrl {

class PacketBuffer {
 public:
  bool empty() const { return ring_.empty(); }
  std::int64_t packets() const { return static_cast<std::int64_t>(ring_.size()); }
  std::int64_t bytes() const { return bytes_; }
  const Packet& operator[](std::size_t index) const { return ring_[index]; }

  // `at` is when the packet arrived: it becomes packet.entered.
  void push(const Packet& packet, TimePoint at) {
    bytes_ += packet.size_bytes;
    ring_.push(packet).entered = at;
  }
  const Packet& pop() {
    const Packet& packet = ring_.pop();
    bytes_ -= packet.size_bytes;
    return packet;
  }
  std::size_t capacity_bytes() const { return ring_.capacity_bytes(); }

 private:
  Ring<Packet> ring_;
  std::int64_t bytes_ = 0;
};

}  // namespace mvfstrl
