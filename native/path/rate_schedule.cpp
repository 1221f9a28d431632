#include "path/rate_schedule.h"

#include <algorithm>
#include <cmath>

namespace mvfstrl {
namespace {

using BitNanoseconds = __int128;
constexpr BitNanoseconds kPerByte = 8'000'000'000;

std::int64_t whole_bps(double bps) { return std::llround(bps); }

}  // namespace

PeriodicSchedule::PeriodicSchedule(const PeriodicRate& config) : parts_(config.parts) {
  validate(RateConfig(config));
  Duration period;
  for (const PeriodicRate::Part& part : parts_) period += part.length;
  end_ = TimePoint::zero() - Duration::from_ns(config.offset.ns() % period.ns());
}

RateSegment PeriodicSchedule::next() {
  const PeriodicRate::Part& part = parts_[index_];
  index_ = (index_ + 1) % parts_.size();
  end_ += part.length;
  return {whole_bps(part.rate.bps()), end_};
}

RandomWalkSchedule::RandomWalkSchedule(const RandomWalkRate& config, Rng rng)
    : rng_(rng),
      log_min_(std::log(config.min.bps())),
      log_max_(std::log(config.max.bps())),
      deviation_(config.deviation),
      every_(config.every) {
  validate(RateConfig(config));
  log_rate_ = rng_.uniform(log_min_, log_max_);
}

RateSegment RandomWalkSchedule::next() {
  if (!first_) {
    // Reflected at both bounds as often as it takes: folding the line over one period of the reflection.
    const double width = log_max_ - log_min_;
    const double moved = log_rate_ + deviation_ * rng_.normal() - log_min_;
    const double folded = width > 0 ? std::abs(std::remainder(moved, 2 * width)) : 0;
    log_rate_ = log_min_ + folded;
  }
  first_ = false;
  end_ += every_;
  return {whole_bps(std::exp(log_rate_)), end_};
}

SatelliteSchedule::SatelliteSchedule(const SatelliteRate& config, Rng rng) : rng_(rng), config_(config) {
  validate(RateConfig(config));
  slot_end_ = TimePoint::zero() - Duration::from_ns(config.offset.ns() % config.interval.ns());
}

void SatelliteSchedule::draw_rate() {
  const double factor = config_.low == config_.high ? config_.low : rng_.uniform(config_.low, config_.high);
  bps_ = whole_bps(config_.rate.bps() * factor);
}

RateSegment SatelliteSchedule::next() {
  if (!outage_next_) {
    const TimePoint start = slot_end_;
    slot_end_ += config_.interval;
    draw_rate();
    outage_next_ = true;
    if (config_.outage > Duration::zero()) return {0, start + config_.outage};
  }
  outage_next_ = false;
  return {bps_, slot_end_};
}

RateSchedule::Process RateSchedule::make_process(const RateConfig& rate, Rng rng) {
  if (const auto* periodic = std::get_if<PeriodicRate>(&rate)) return PeriodicSchedule(*periodic);
  if (const auto* walk = std::get_if<RandomWalkRate>(&rate)) return RandomWalkSchedule(*walk, rng);
  return SatelliteSchedule(std::get<SatelliteRate>(rate), rng);
}

RateSchedule::RateSchedule(const RateConfig& rate, Rng rng) : process_(make_process(rate, rng)) {
  do advance();
  while (segment_.end <= TimePoint::zero());  // an offset may lie behind the first parts
}

bool is_scheduled(const RateConfig& rate) {
  return std::holds_alternative<PeriodicRate>(rate) || std::holds_alternative<RandomWalkRate>(rate) ||
         std::holds_alternative<SatelliteRate>(rate);
}

TimePoint ScheduledWire::send(TimePoint start, std::int64_t size_bytes) {
  BitNanoseconds left = size_bytes * kPerByte;
  TimePoint at = start;
  while (true) {
    const RateSegment& segment = serving_.segment();
    if (segment.end > at) {
      const BitNanoseconds room = BitNanoseconds{segment.bps} * (segment.end - at).ns();
      if (room >= left) {
        const BitNanoseconds ns = (left + segment.bps - 1) / segment.bps;  // sent when the last bit is
        return at + Duration::from_ns(static_cast<std::int64_t>(ns));
      }
      left -= room;
      at = segment.end;
    }
    serving_.advance();
  }
}

ByteCount ScheduledWire::offered_bytes(TimePoint now) {
  while (offered_until_ < now) {
    const RateSegment& segment = offering_.segment();
    const TimePoint until = std::min(now, segment.end);
    offered_ += BitNanoseconds{segment.bps} * (until - offered_until_).ns();
    offered_until_ = until;
    if (segment.end <= now) offering_.advance();
  }
  return ByteCount(static_cast<std::int64_t>(offered_ / kPerByte));
}

}  // namespace mvfstrl
