// The delivery states that packets in flight refer to. A state holds from one acknowledgement or loss to the
// next, so the packets sent in between share it: a record of a packet keeps four bytes instead of fifty.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "congestion/controller.h"

namespace mvfstrl {

class DeliveryStates {
 public:
  using Id = std::uint32_t;  // wraps around

  Id current() const { return newest_; }
  // Pointers stay good until the next push().
  const DeliveryState& operator[](Id id) const { return ring_[id & mask_]; }

  // The next state; those older than `oldest_needed` are let go of.
  void push(const DeliveryState& state, Id oldest_needed) {
    ++newest_;
    if (newest_ - oldest_needed >= ring_.size()) [[unlikely]]
      grow(oldest_needed);
    ring_[newest_ & mask_] = state;
  }

 private:
  void grow(Id oldest_needed) {
    std::vector<DeliveryState> larger(ring_.size() * 2);
    const auto larger_mask = static_cast<Id>(larger.size() - 1);
    for (Id id = oldest_needed; id != newest_; ++id) larger[id & larger_mask] = ring_[id & mask_];
    ring_ = std::move(larger);
    mask_ = larger_mask;
  }

  Id newest_ = 0;
  Id mask_ = 15;
  std::vector<DeliveryState> ring_ = std::vector<DeliveryState>(16);
};

}  // namespace mvfstrl
