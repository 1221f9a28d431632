#include "observe/delivery_rate.h"

#include <algorithm>

namespace mvfstrl {

void DeliveryRate::reset(TimePoint start) {
  slots_.fill(0);
  total_ = 0;
  current_ = 0;
  slot_start_ = start;
}

void DeliveryRate::on_acked(TimePoint now, ByteCount bytes) {
  advance(now);
  slots_[current_] += bytes.value();
  total_ += bytes.value();
}

double DeliveryRate::bytes_per_second(TimePoint now) {
  advance(now);
  const std::int64_t covered_ns = (now - slot_start_).ns() + static_cast<std::int64_t>(kSlots - 1) * kSlotNs;
  return static_cast<double>(total_) * 1e9 / static_cast<double>(covered_ns);
}

void DeliveryRate::advance(TimePoint now) {
  const std::int64_t elapsed = (now - slot_start_).ns();
  if (elapsed < kSlotNs) return;
  const std::int64_t steps = elapsed / kSlotNs;
  slot_start_ += Duration::from_ns(steps * kSlotNs);
  const auto cleared = std::min(steps, static_cast<std::int64_t>(kSlots));
  for (std::int64_t i = 0; i < cleared; ++i) {
    current_ = current_ + 1 == kSlots ? 0 : current_ + 1;
    total_ -= slots_[current_];
    slots_[current_] = 0;
  }
}

}  // namespace mvfstrl
