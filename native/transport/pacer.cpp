#include "transport/pacer.h"

#include <algorithm>

namespace mvfstrl {

namespace {

// mvfst computes in whole microseconds.
Duration whole_us(Duration d) { return Duration::from_us(d.ns() / 1000); }

}  // namespace

Pacer::Pacer(const TransportConfig& config, bool enabled)
    : enabled_(enabled),
      tick_(config.pacing_tick),
      timer_tick_(config.pacing_timer_tick),
      min_burst_(config.pacing_min_burst),
      max_late_bursts_(config.pacing_max_late_bursts),
      minimum_packets_(config.window.minimum_packets),
      packet_size_(config.window.packet_size),
      burst_(config.pacing_min_burst) {}

void Pacer::set_pace(const Pace& pace) {
  if (pace.restart) {
    last_burst_.reset();
    write_.reset();
  }
  if (pace.over < tick_) {  // too short to be divided
    interval_ = Duration::zero();
    return;
  }
  const std::int64_t packets = std::max(minimum_packets_, pace.window.value() / packet_size_.value());
  const std::int64_t a_tick = (packets * tick_.ns() + pace.over.ns() - 1) / pace.over.ns();
  burst_ = std::max(min_burst_, a_tick);
  interval_ = std::max(tick_, whole_us(pace.over * burst_ / packets));
}

bool Pacer::may_send(TimePoint now) {
  if (interval_.is_zero()) {
    last_burst_ = now;
    timer_.reset();
    budget_ = 1;
    return true;
  }
  if (timer_) {
    if (now < *timer_) return false;
    timer_.reset();
    budget_ = start_write(now);
  } else if (write_ != now) {
    budget_ = start_write(now);
  }
  if (budget_ > 0) return true;
  arm(now);
  return false;
}

// TokenlessPacer::updateAndGetWriteBatchSize.
std::int64_t Pacer::start_write(TimePoint now) {
  write_ = now;
  std::int64_t packets = burst_;
  if (last_burst_) {
    const Duration elapsed = now - *last_burst_;
    if (elapsed >= interval_ * max_late_bursts_) {
      packets = burst_ * max_late_bursts_;
      owed_ = Duration::zero();
    } else {
      Duration due = elapsed * burst_;
      if (due >= owed_) due -= owed_;
      // Packets due since the last burst, rounded up; what was rounded is owed by the next.
      packets = (due.ns() + interval_.ns() - 1) / interval_.ns();
      owed_ = interval_ * packets - due;
    }
  }
  if (!last_burst_ || packets > 0) last_burst_ = now;
  return packets;
}

// TokenlessPacer::getTimeUntilNextWrite, and a timer of folly's hashed wheel, which counts whole ticks and
// fires one later.
void Pacer::arm(TimePoint now) {
  Duration wait = std::max(interval_ - (now - *last_burst_), tick_);
  if (!timer_tick_.is_zero()) wait = timer_tick_ * (wait.ns() / timer_tick_.ns() + 1);
  timer_ = now + wait;
}

}  // namespace mvfstrl
