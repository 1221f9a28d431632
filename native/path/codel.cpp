#include "path/codel.h"

#include <cmath>

namespace mvfstrl {

Codel::Candidate Codel::pop(TimePoint now, PacketBuffer& buffer, Packet& out) {
  if (buffer.empty()) {
    first_above_ = TimePoint::never();
    return {};
  }
  out = buffer.pop();
  if (now - out.entered < parameters_.target || buffer.bytes() <= largest_packet_) {
    first_above_ = TimePoint::never();
    return {.present = true, .may_drop = false};
  }
  if (first_above_.is_never()) {
    first_above_ = now + parameters_.interval;
    return {.present = true, .may_drop = false};
  }
  return {.present = true, .may_drop = now >= first_above_};
}

TimePoint Codel::control_law(TimePoint from) const {
  return from + parameters_.interval.scaled(1.0 / std::sqrt(static_cast<double>(count_)));
}

// RFC 8289 section 5.5, deque.
bool Codel::take(TimePoint now, PacketBuffer& buffer, Packet& out, Tally& drops) {
  Candidate head = pop(now, buffer, out);
  if (dropping_) {
    if (!head.may_drop) dropping_ = false;
    while (dropping_ && now >= drop_next_) {
      drops.add(out.size_bytes);
      ++count_;
      head = pop(now, buffer, out);
      if (head.may_drop) {
        drop_next_ = control_law(drop_next_);
      } else {
        dropping_ = false;
      }
    }
  } else if (head.may_drop) {
    drops.add(out.size_bytes);
    head = pop(now, buffer, out);
    dropping_ = true;
    // A short pause in dropping resumes near the rate that was reached, instead of starting over.
    const std::uint32_t reached = count_ - last_count_;
    const bool recent = now - drop_next_ < parameters_.interval * 16;
    count_ = reached > 1 && recent ? reached : 1;
    drop_next_ = control_law(now);
    last_count_ = count_;
  }
  return head.present;
}

}  // namespace mvfstrl
