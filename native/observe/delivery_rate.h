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
  void on_acked(TimePoint now, ByteCount bytes);
  // Bytes per second at `now`, which is not before the last on_acked. In the first 90 ms of a connection the
  // time before its start counts as silence.
  double bytes_per_second(TimePoint now);

 private:
  static constexpr std::int64_t kSlotNs = 10'000'000;
  static constexpr std::size_t kSlots = 10;
  void advance(TimePoint now);

  std::array<std::int64_t, kSlots> slots_{};
  std::int64_t total_ = 0;
  std::size_t current_ = 0;
  TimePoint slot_start_;  // of the running slot
};

}  // namespace mvfstrl
