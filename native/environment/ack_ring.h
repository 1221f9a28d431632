// Keeps the ACK frames of one flow while their packets travel: the path carries a frame's sequence number
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "transport/ack_frame.h"

namespace mvfstrl {

// Paths never reorder, so an ACK that arrives tells that every earlier one has arrived or been dropped: their
// slots are free, and frames are reused with the room that they have grown.
class AckRing {
 public:
  // The slot of the next frame, to be filled. It counts only once push() is called.
  AckFrame& back() {
    if (head_ - tail_ == slots_.size()) grow();
    AckFrame& frame = slots_[head_ & (slots_.size() - 1)];
    frame.ranges.reserve(kRoom);
    return frame;
  }
  // Returns the frame's sequence number.
  std::uint64_t push() { return head_++; }

  // Holds until the next back().
  const AckFrame& at(std::uint64_t sequence) const { return slots_[sequence & (slots_.size() - 1)]; }
  // Frames up to `sequence` are no more on their way.
  void release(std::uint64_t sequence) { tail_ = sequence + 1; }
  std::size_t capacity() const { return slots_.size(); }

 private:
  // Ranges of a frame that has lost packets to tell of: mvfst lists as many. With that room from the start no
  // frame allocates twice.
  static constexpr std::size_t kRoom = 64;

  void grow() {
    std::vector<AckFrame> larger(slots_.size() * 2);
    for (std::uint64_t i = tail_; i < head_; ++i) {
      larger[i & (larger.size() - 1)] = std::move(slots_[i & (slots_.size() - 1)]);
    }
    slots_ = std::move(larger);
  }

  std::vector<AckFrame> slots_ = std::vector<AckFrame>(8);
  std::uint64_t head_ = 0;  // next to be written
  std::uint64_t tail_ = 0;  // oldest that may still arrive
};

}  // namespace mvfstrl
