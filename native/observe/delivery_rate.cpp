#include "observe/delivery_rate.h"

namespace mvfstrl {

void DeliveryRate::reset(TimePoint start) {
  slots_.fill(0);
  total_ = 0;
  current_ = 0;
  slot_start_ = start;
}

void DeliveryRate::advance(TimePoint now) {
  const Duration elapsed = now - slot_start_;
  if (elapsed >= kSlot * (kSlots + 1)) {  // a silence: no slot is left, whichever is the running one
    reset(slot_start_ + kSlot * (elapsed.ns() / kSlot.ns()));
    return;
  }
  for (; now - slot_start_ >= kSlot; slot_start_ += kSlot) {
    current_ = current_ + 1 == kSlots ? 0 : current_ + 1;
    total_ -= slots_[current_];
    slots_[current_] = 0;
  }
}

}  // namespace mvfstrl
