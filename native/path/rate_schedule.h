// Rates that change at given instants and hold in between: the periodic schedule, the random walk, the
// satellite link. See config.h for what each does.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "common/rng.h"
#include "common/units.h"
#include "path/config.h"

namespace mvfstrl {

// A part of time with one rate. Whole bits a second, so that bits times nanoseconds are exact.
struct RateSegment {
  std::int64_t bps = 0;
  TimePoint end;
};

class PeriodicSchedule {
 public:
  explicit PeriodicSchedule(const PeriodicRate& config);
  RateSegment next();

 private:
  std::vector<PeriodicRate::Part> parts_;
  std::size_t index_ = 0;
  TimePoint end_;
};

class RandomWalkSchedule {
 public:
  RandomWalkSchedule(const RandomWalkRate& config, Rng rng);
  RateSegment next();

 private:
  Rng rng_;
  double log_rate_, log_min_, log_max_;  // of bits a second
  double deviation_;
  Duration every_;
  TimePoint end_;
  bool first_ = true;
};

class SatelliteSchedule {
 public:
  SatelliteSchedule(const SatelliteRate& config, Rng rng);
  RateSegment next();

 private:
  void draw_rate();

  Rng rng_;
  SatelliteRate config_;
  std::int64_t bps_ = 0;
  bool outage_next_ = false;
  TimePoint slot_end_;  // when the slot being played ends
};

// Any of the three, segment after segment from time zero on. The same configuration and generator give the
// same segments, so that two schedules may walk through one process at their own pace.
class RateSchedule {
 public:
  // `rate` must be one of the three; is_scheduled() tells.
  RateSchedule(const RateConfig& rate, Rng rng);

  const RateSegment& segment() const { return segment_; }
  void advance() {
    segment_ = std::visit([](auto& process) { return process.next(); }, process_);
  }

 private:
  using Process = std::variant<PeriodicSchedule, RandomWalkSchedule, SatelliteSchedule>;
  static Process make_process(const RateConfig& rate, Rng rng);

  Process process_;
  RateSegment segment_;
};

bool is_scheduled(const RateConfig& rate);

// A wire whose rate follows a schedule. Times handed in never decrease, for either function by itself.
class ScheduledWire {
 public:
  ScheduledWire(const RateConfig& rate, Rng rng) : serving_(rate, rng), offering_(rate, rng) {}

  // When a packet has left whose first bit is sent at `start`: its bits are spread over the rates that come.
  TimePoint send(TimePoint start, std::int64_t size_bytes);
  // What holds where that packet ended.
  double ns_per_byte() const { return 8e9 / static_cast<double>(serving_.segment().bps); }
  TimePoint rate_end() const { return serving_.segment().end; }

  // The schedule's integral from time zero to `now`, rounded down.
  ByteCount offered_bytes(TimePoint now);

 private:
  RateSchedule serving_;
  RateSchedule offering_;
  TimePoint offered_until_;
  __int128 offered_ = 0;  // bits times 1e9
};

}  // namespace mvfstrl
