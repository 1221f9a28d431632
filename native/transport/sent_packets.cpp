#include "transport/sent_packets.h"

#include <algorithm>

namespace mvfstrl {

void SentPackets::grow() {
  capacity_ = std::max<std::uint64_t>(16, capacity_ * 2);
  std::vector<SentRecord> larger(capacity_);
  const std::uint64_t larger_mask = capacity_ - 1;
  for (std::uint64_t number = base_; number < next_; ++number)
    larger[number & larger_mask] = ring_[number & mask_];
  ring_ = std::move(larger);
  mask_ = larger_mask;
}

void SentPackets::compact() {
  holes_.erase(holes_.begin(), holes_.begin() + static_cast<std::ptrdiff_t>(head_));
  head_ = 0;
}

}  // namespace mvfstrl
