#include "path/packet_buffer.h"

#include <algorithm>

namespace mvfstrl {

// Closes the gap if that gives room for a while, else doubles the ring: either way the next call is a good
// many packets away.
void PacketBuffer::make_room() {
  constexpr std::size_t kFirstCapacity = 16;
  const std::size_t gap = head_ - sending_;
  if (gap > capacity_ / 4 + 1) {
    const std::size_t shift = gap - 1;  // the packet being sent has a slot of its own
    for (std::size_t place = sending_ + 1; place-- > departed_;) slot(place + shift) = slot(place);
    departed_ += shift;
    sending_ += shift;
    return;
  }
  const std::size_t larger = std::max(kFirstCapacity, 2 * capacity_);
  std::vector<Packet> moved(larger);
  for (std::size_t place = departed_; place < tail_; ++place) moved[place & (larger - 1)] = slot(place);
  slots_.swap(moved);
  capacity_ = larger;
}

}  // namespace mvfstrl
