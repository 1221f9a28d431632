// The synthetic cellular link: see CellularParameters (config.h) for the model.
#pragma once

#include <cstdint>

#include "common/rng.h"
#include "common/units.h"
#include "path/config.h"

namespace mvfstrl {

// A seeded sequence of delivery opportunities. The rate is held for ticks of 20 ms (Sprout's), within which
// the bursts are Poisson; between ticks it moves by the exact transition of mean-reverting Brownian motion.
// Where the motion would fall below zero an outage begins, after which the rate restarts by the motion's
// reflection. The process has run for four reversion times before time zero, so that every seed starts at a
// typical rate.
class CellularProcess {
 public:
  CellularProcess(const CellularRate& config, Rng rng);

  // The opportunity that is up next; several may share one instant.
  TimePoint next() const { return next_; }
  void advance() {
    if (!rng_.bernoulli(another_in_burst_)) next_burst();
  }

  static constexpr Duration kTick = Duration::from_ms(20);

 private:
  void next_burst();
  void step_rate();

  Rng rng_;       // opportunities
  Rng rate_rng_;  // the rate, in a stream of its own: it does not depend on how many opportunities it made
  // Rates are in bursts a second.
  double level_, max_, rate_;
  double keep_;  // what one tick leaves of the distance from the level
  double tick_deviation_;
  Duration outage_mean_;
  double another_in_burst_;
  TimePoint next_;
  TimePoint tick_end_;
};

}  // namespace mvfstrl
