#include "path/detour.h"

#include <algorithm>

namespace mvfstrl {
namespace {

enum Stream : std::uint64_t { kJitterStream = 1, kReorderStream = 2, kDuplicateStream = 3 };

bool varies(const DelayVariation& variation) {
  return variation.step_high > Duration::zero() || variation.jitter > Duration::zero();
}

}  // namespace

bool has_detour(const DirectionConfig& config) {
  return varies(config.delay_variation) || config.reordering.probability > 0 || config.duplication > 0;
}

Detour::Detour(const DirectionConfig& config, Rng rng)
    : variation_(config.delay_variation),
      reordering_(config.reordering),
      duplication_(config.duplication),
      step_rng_(config.delay_variation.seed),
      jitter_rng_(rng.fork(kJitterStream)),
      reorder_rng_(rng.fork(kReorderStream)),
      duplicate_rng_(rng.fork(kDuplicateStream)) {
  step_end_ = TimePoint::zero() - Duration::from_ns(variation_.offset.ns() % variation_.every.ns());
}

Duration Detour::extra(TimePoint due) {
  if (variation_.step_high > Duration::zero()) {
    while (step_end_ <= due) {
      const double share = step_rng_.uniform();
      step_ = variation_.step_low + (variation_.step_high - variation_.step_low).scaled(share);
      step_end_ += variation_.every;
    }
  }
  if (variation_.jitter.is_zero()) return step_;
  return step_ + Duration::from_seconds(jitter_rng_.exponential(variation_.jitter.to_seconds()));
}

void Detour::hold(TimePoint due, const Packet& packet) {
  const TimePoint steady = std::max(latest_, due + extra(due));
  if (reordering_.probability > 0 && reorder_rng_.bernoulli(reordering_.probability)) {
    latest_late_ = std::max(latest_late_, steady + reordering_.extra);
    late_.push({latest_late_, packet});
  } else {
    latest_ = steady;
    steady_.push({steady, packet});
  }
}

void Detour::admit(TimePoint due, const Packet& packet, Tally& duplicated) {
  hold(due, packet);
  if (duplication_ <= 0 || !duplicate_rng_.bernoulli(duplication_)) return;
  Packet copy = packet;
  copy.copy = true;
  duplicated.add(copy.size_bytes);
  hold(due, copy);
}

TimePoint Detour::next() const {
  const TimePoint steady = steady_.empty() ? TimePoint::never() : steady_.front().due;
  return late_.empty() ? steady : std::min(steady, late_.front().due);
}

Packet Detour::take() {
  const bool late = steady_.empty() || (!late_.empty() && late_.front().due < steady_.front().due);
  return (late ? late_ : steady_).pop().packet;
}

Tally Detour::copies_inside() const {
  Tally total;
  visit_inside([&](const Packet& packet) {
    if (packet.copy) total.add(packet.size_bytes);
  });
  return total;
}

}  // namespace mvfstrl
