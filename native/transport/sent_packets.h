// The packets that a sender still has to account for: a ring indexed by packet number, and the "holes" in it:
// the numbers below the largest acknowledged one that are not acknowledged. So an ACK is handled in time
// linear in the packets that it newly acknowledges plus the holes, without looking at what earlier ACKs
// covered.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/units.h"
#include "congestion/delivery_states.h"

namespace mvfstrl {

struct SentRecord {
  TimePoint sent_time;
  ByteCount sent_bytes;  // by the connection, this packet included
  std::uint32_t size = 0;
  DeliveryStates::Id delivery = 0;
  std::uint32_t clone_offset = 0;  // this packet repeats the one so many numbers before it; 0: none
  bool app_limited = false;
  bool shares_data = false;  // with a packet that it repeats, or that repeats it
  bool processed = false;    // its data, or its clone's, is acknowledged or lost already
};

// Packet numbers start at zero and have no gaps.
class SentPackets {
 public:
  std::uint64_t next_packet_number() const { return next_; }
  // One past the largest acknowledged number: from here on everything is in flight.
  std::uint64_t acked_end() const { return acked_end_; }
  // Oldest record kept.
  std::uint64_t begin() const { return base_; }

  // The record of the packet that gets the next number: as new but for times, sizes and `app_limited`, which
  // are for the caller to fill in.
  SentRecord& push() {
    if (next_ - base_ == capacity_) [[unlikely]]
      grow();
    SentRecord& record = ring_[next_++ & mask_];
    record.clone_offset = 0;
    record.shares_data = record.processed = false;
    return record;
  }
  SentRecord& operator[](std::uint64_t packet_number) {
    assert(packet_number >= base_ && packet_number < next_);
    return ring_[packet_number & mask_];
  }
  const SentRecord& operator[](std::uint64_t packet_number) const {
    assert(packet_number >= base_ && packet_number < next_);
    return ring_[packet_number & mask_];
  }

  // Holes in rising order: the first declared_lost() of them are declared lost, the others are in flight.
  // That order holds because both loss thresholds are monotone in the packet number.
  std::size_t holes() const { return holes_.size() - head_; }
  std::uint64_t hole(std::size_t i) const { return holes_[head_ + i]; }
  std::size_t declared_lost() const { return declared_lost_; }

  void add_hole(std::uint64_t number) { holes_.push_back(number); }
  void set_acked_end(std::uint64_t end) {
    assert(end >= acked_end_ && end <= next_);
    acked_end_ = end;
  }
  // The oldest hole in flight is lost.
  void declare_lost() { ++declared_lost_; }
  // Nobody expects an acknowledgement of the oldest lost packet any more.
  void forget_oldest_lost() {
    ++head_;
    --declared_lost_;
  }
  // Removes the holes that `acked(number)` is true for and calls `removed(number, was_declared_lost)` on
  // each, in rising order.
  template <typename Acked, typename Removed>
  void remove_holes(Acked&& acked, Removed&& removed);
  // Lets go of the records that nothing refers to any more.
  void release() {
    if (head_ == holes_.size()) {
      holes_.clear();
      head_ = 0;
      base_ = acked_end_;
      return;
    }
    base_ = holes_[head_];
    if (head_ > 1024 && head_ * 2 > holes_.size()) compact();
  }

 private:
  void grow();
  void compact();

  std::uint64_t base_ = 0;
  std::uint64_t acked_end_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t capacity_ = 0;
  std::uint64_t mask_ = 0;
  std::vector<SentRecord> ring_;
  std::vector<std::uint64_t> holes_;
  std::size_t head_ = 0;  // holes_ before it are forgotten
  std::size_t declared_lost_ = 0;
};

template <typename Acked, typename Removed>
void SentPackets::remove_holes(Acked&& acked, Removed&& removed) {
  const std::size_t lost_end = head_ + declared_lost_;
  std::size_t kept = head_;
  for (std::size_t i = head_; i < holes_.size(); ++i) {
    const std::uint64_t number = holes_[i];
    if (!acked(number)) {
      holes_[kept++] = number;
      continue;
    }
    const bool lost = i < lost_end;
    if (lost) --declared_lost_;
    removed(number, lost);
  }
  holes_.resize(kept);
}

}  // namespace mvfstrl
