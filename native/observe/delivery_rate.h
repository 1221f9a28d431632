// Rate of acknowledged bytes over the last tenth of a second.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/units.h"

namespace mvfstrl {

// A ring of ten slots of 10 ms: the rate is the bytes of the last nine whole slots and the running one, over
// the time that these cover (90 to 100 ms). A fixed span rather than a fixed number of ACKs, so that ACKs
// which arrive in one burst do not read as a huge rate.
class DeliveryRate {
 public:
  void reset(TimePoint start);

  // Adds `acked` at `now` (never before an earlier one) and gives the rate in bytes per second. In the first
  // 90 ms of a connection the time before its start counts as silence.
  double update(TimePoint now, ByteCount acked) {
    if (now - slot_start_ >= kSlot) advance(now);
    slots_[current_] += acked.value();
    total_ += acked.value();
    return static_cast<double>(total_) * 1e9 / static_cast<double>((now - slot_start_ + kWholeSlots).ns());
  }

 private:
  static constexpr std::size_t kSlots = 10;
  static constexpr Duration kSlot = Duration::from_ms(10);
  static constexpr Duration kWholeSlots = kSlot * (kSlots - 1);
  void advance(TimePoint now);

  std::array<std::int64_t, kSlots> slots_{};
  std::int64_t total_ = 0;
  std::size_t current_ = 0;
  TimePoint slot_start_;  // of the running slot
};

}  // namespace mvfstrl
