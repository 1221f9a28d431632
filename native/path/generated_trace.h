// Traces that need no file: those of Pantheon's calibrated emulators (Yan et al.: "Pantheon: the training
// ground for Internet congestion-control research", USENIX ATC 2018, section 4), by the rules that reproduce
// its files. Played like any trace: mahimahi's millisecond clock, opportunities of 1504 bytes.
#pragma once

#include <memory>

#include "common/rng.h"
#include "common/units.h"
#include "path/trace.h"

namespace mvfstrl {

// As long as Pantheon's files. Poisson traces end with the first opportunity at or after it.
constexpr Duration kGeneratedLength = Duration::from_ms(60'000);

// A constant rate of 1500-byte opportunities: number i, from 0, comes in millisecond floor(i * 1500 B /
// rate).
std::shared_ptr<const Trace> constant_trace(Bandwidth rate);

// `opportunities` together, every `every` (whole milliseconds).
std::shared_ptr<const Trace> periodic_trace(int opportunities, Duration every);

// Pantheon's stochastic emulators do not start with what they are named after: for their first seconds, the
// head, an opportunity comes every 100 ms exactly. Then come exponential gaps, each rounded to a millisecond.
struct PoissonTrace {
  Bandwidth rate = Bandwidth::from_mbps(12);  // of 1500-byte opportunities, behind the head
  Duration head = Duration::zero();           // whole multiples of kHeadGap

  static constexpr Duration kHeadGap = Duration::from_ms(100);
};
std::shared_ptr<const Trace> poisson_trace(const PoissonTrace& parameters, Rng rng);

}  // namespace mvfstrl
