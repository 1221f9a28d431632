#include "transport/pacer.h"

#include <algorithm>
#include <limits>

namespace mvfstrl {

Pacer::Pacer(const TransportConfig& config, bool enabled)
    : enabled_(enabled),
      tick_(config.pacing_tick),
      min_burst_(config.pacing_min_burst),
      max_late_bursts_(config.pacing_max_late_bursts),
      minimum_packets_(config.window.minimum_packets),
      packet_size_(config.window.packet_size),
      burst_(config.pacing_min_burst) {}

void Pacer::set_rate(ByteCount window, Duration rtt) {
  if (rtt < tick_) {  // too short to be divided
    interval_ = Duration::zero();
    return;
  }
  const std::int64_t packets = std::max(minimum_packets_, window.value() / packet_size_.value());
  const std::int64_t a_tick = (packets * tick_.ns() + rtt.ns() - 1) / rtt.ns();
  burst_ = std::max(min_burst_, a_tick);
  interval_ = std::max(tick_, rtt * burst_ / packets);
}

bool Pacer::may_send(TimePoint now) {
  if (!enabled_ || interval_.is_zero()) return true;
  if (now >= next_release()) refill(now);
  return now == last_write_ && budget_ > 0;
}

TimePoint Pacer::next_release() const { return started_ ? last_write_ + interval_ : TimePoint::zero(); }

void Pacer::refill(TimePoint now) {
  if (!started_) {
    budget_ = burst_;
  } else if (now - last_write_ >= interval_ * max_late_bursts_) {
    budget_ = burst_ * max_late_bursts_;
    owed_ = Duration::zero();
  } else {
    // Packets due since the last write, rounded up; what was rounded is owed by the next.
    const Duration due = std::max(Duration::zero(), (now - last_write_) * burst_ - owed_);
    budget_ = (due.ns() + interval_.ns() - 1) / interval_.ns();
    owed_ = interval_ * budget_ - due;
    budget_ = std::max<std::int64_t>(budget_, 1);
  }
  started_ = true;
  last_write_ = now;
}

}  // namespace mvfstrl
