// The packets that a sender still has to account for: a ring indexed by packet number, and the "holes" in it:
// the numbers below the largest acknowledged one that are not acknowledged. An ACK is handled in time linear
// in the packets that it newly acknowledges plus the holes, without looking at what earlier ACKs covered.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "common/units.h"

namespace mvfstrl {

struct SentRecord {
  TimePoint sent_time;
  ByteCount delivered_at_send;
  TimePoint delivered_time_at_send;
  std::uint32_t size = 0;
  bool app_limited = false;
};

// Packet numbers start at zero and have no gaps.
class SentPackets {
 public:
  std::uint64_t next_packet_number() const { return next_; }
  bool has_acked() const { return acked_end_ > 0; }
  // Only where has_acked().
  std::uint64_t largest_acked() const { return acked_end_ - 1; }

  // Gives the packet the next number.
  std::uint64_t push(const SentRecord& record) {
    if (next_ - base_ == ring_.size()) grow();
    ring_[next_ & mask_] = record;
    return next_++;
  }
  // Valid from the oldest hole (or the largest acknowledged number) to the newest packet.
  const SentRecord& operator[](std::uint64_t packet_number) const {
    assert(packet_number >= base_ && packet_number < next_);
    return ring_[packet_number & mask_];
  }

  // Rising. The first declared_lost() of them are declared lost, the others still in flight.
  const std::vector<std::uint64_t>& holes() const { return holes_; }
  std::size_t declared_lost() const { return declared_lost_; }
  // Numbers at or above the largest acknowledged: all in flight.
  std::uint64_t unacked_begin() const { return acked_end_; }

  // The next packet up to `number` became the largest acknowledged; what was skipped is holes.
  void raise_largest_acked(std::uint64_t number) {
    assert(number >= acked_end_ && number < next_);
    acked_end_ = number + 1;
  }
  void add_hole(std::uint64_t number) { holes_.push_back(number); }
  // Removes the holes for which `gone(number, declared_lost)` is true, asked in rising order.
  template <typename Gone>
  void remove_holes(Gone&& gone);
  // The first `count` holes in flight are declared lost.
  void declare_lost(std::size_t count) { declared_lost_ += count; }
  // Lets go of records that nothing refers to any more.
  void release() { base_ = holes_.empty() ? acked_end_ : holes_.front(); }

 private:
  void grow();

  std::uint64_t base_ = 0;       // oldest record kept
  std::uint64_t acked_end_ = 0;  // one past the largest acknowledged
  std::uint64_t next_ = 0;
  std::uint64_t mask_ = 0;
  std::vector<SentRecord> ring_;
  std::vector<std::uint64_t> holes_;
  std::size_t declared_lost_ = 0;
};

template <typename Gone>
void SentPackets::remove_holes(Gone&& gone) {
  std::size_t kept = 0;
  std::size_t kept_lost = 0;
  for (std::size_t i = 0; i < holes_.size(); ++i) {
    const bool lost = i < declared_lost_;
    if (gone(holes_[i], lost)) continue;
    holes_[kept++] = holes_[i];
    if (lost) ++kept_lost;
  }
  holes_.resize(kept);
  declared_lost_ = kept_lost;
}

}  // namespace mvfstrl
