// Paths that change while an episode lasts, as distributions: links whose rate moves, delay that varies,
// packets that overtake or come twice. What a drawn one does is told in path/config.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/rng.h"
#include "common/units.h"
#include "environment/range.h"
#include "path/config.h"

namespace mvfstrl {

// The rate is `mbps` times one factor after another, round and round, each for `every_ms`. The two ranges are
// drawn once an episode.
struct StepsRateScenario {
  Range mbps = Range::constant(12);
  std::vector<double> factors = {1, 2};
  Range every_ms = Range::constant(5'000);
  bool random_start = true;  // at a random place of the round, the same on both links; else at its start
};

// The rate climbs from `mbps` to `factor` times that, evenly, in steps of `step`, and falls back at once.
struct SawtoothRateScenario {
  Range mbps = Range::constant(12);
  double factor = 4;
  Range period_ms = Range::constant(10'000);
  Duration step = Duration::from_ms(100);
  bool random_start = true;
};

// The rate wanders between mbps / span and mbps * span, in steps of its logarithm.
struct RandomWalkRateScenario {
  Range mbps = Range::constant(48);
  double span = 4;
  Duration every = Duration::from_ms(100);
  double deviation = 0.1;
};

struct SatelliteRateScenario {
  Range mbps = Range::constant(100);
  Duration interval = Duration::from_ms(15'000);
  double low_factor = 1;   // of `mbps`: each slot draws its rate from here
  double high_factor = 1;  // to here
  Range outage_ms = Range::constant(100);
  bool random_start = true;  // at a random place of a slot, the same on both links and of the delay
};

struct WifiRateScenario {
  std::vector<Bandwidth> phy_rates = {Bandwidth::from_mbps(65)};
  Duration hold = WifiRate{}.hold;
  Duration gap = WifiRate{}.gap;
  Duration overhead = WifiRate{}.overhead;
  Duration airtime = WifiRate{}.airtime;
  std::int64_t aggregate_packets = WifiRate{}.aggregate_packets;
  Range scale = Range::constant(1);
};

// The path's rate for one episode. `place` is a random stream that both links share.
PeriodicRate sample_changing(const StepsRateScenario& rate, Rng rng, Rng place);
PeriodicRate sample_changing(const SawtoothRateScenario& rate, Rng rng, Rng place);
RandomWalkRate sample_changing(const RandomWalkRateScenario& rate, Rng rng, Rng place);
SatelliteRate sample_changing(const SatelliteRateScenario& rate, Rng rng, Rng place);
WifiRate sample_changing(const WifiRateScenario& rate, Rng rng, Rng place);

// What such a rate carries on average over a long time.
Bandwidth mean_changing(const PeriodicRate& rate);
Bandwidth mean_changing(const RandomWalkRate& rate);
Bandwidth mean_changing(const SatelliteRate& rate);
Bandwidth mean_changing(const WifiRate& rate);

// Delay beyond `delay_ms`, in both directions: a part that changes every so often, at the same instants and
// to the same values in both, and jitter, each packet's own. No packet overtakes another for it.
struct DelayVariationScenario {
  Range every_ms = Range::constant(1'000);  // drawn once an episode
  Range step_ms;                            // drawn at each change
  Range jitter_ms;                          // the mean of the jitter, drawn once an episode
  bool random_start = true;
};

// Of data packets.
struct ReorderingScenario {
  Range probability;
  Range extra_ms = Range::constant(10);
};

DelayVariation sample_changing(const DelayVariationScenario& delay, Rng rng, Rng place);
Reordering sample_changing(const ReorderingScenario& reordering, Rng rng);

}  // namespace mvfstrl
