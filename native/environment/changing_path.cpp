#include "environment/changing_path.h"

#include <algorithm>
#include <cmath>

#include "path/opportunities.h"
#include "path/wifi.h"

namespace mvfstrl {
namespace {

// Streams of what an episode draws.
enum Draw : std::uint64_t { kLevel = 1, kTime, kDepth, kSteps };

double sample(const Range& range, Rng rng) { return range.sample(rng); }

Duration sample_ms(const Range& range, Rng rng) { return Duration::from_ms_f(sample(range, rng)); }

// Both links and the delay start at the same fraction of their rounds.
Duration start_within(Duration round, bool random, Rng place) {
  return random ? round.scaled(place.uniform()) : Duration::zero();
}

Duration round_of(const PeriodicRate& rate) {
  Duration round;
  for (const PeriodicRate::Part& part : rate.parts) round += part.length;
  return round;
}

}  // namespace

PeriodicRate sample_changing(const StepsRateScenario& rate, Rng rng, Rng place) {
  const Bandwidth base = Bandwidth::from_mbps(sample(rate.mbps, rng.fork(kLevel)));
  const Duration every = sample_ms(rate.every_ms, rng.fork(kTime));
  PeriodicRate drawn;
  for (const double factor : rate.factors) drawn.parts.push_back({base * factor, every});
  drawn.offset = start_within(round_of(drawn), rate.random_start, place);
  return drawn;
}

PeriodicRate sample_changing(const SawtoothRateScenario& rate, Rng rng, Rng place) {
  const Bandwidth base = Bandwidth::from_mbps(sample(rate.mbps, rng.fork(kLevel)));
  const Duration period = sample_ms(rate.period_ms, rng.fork(kTime));
  const std::int64_t steps = std::max<std::int64_t>(1, std::llround(period / rate.step));
  PeriodicRate drawn;
  for (std::int64_t i = 0; i < steps; ++i) {
    const double climbed = (static_cast<double>(i) + 0.5) / static_cast<double>(steps);
    drawn.parts.push_back({base * (1 + (rate.factor - 1) * climbed), period / steps});
  }
  drawn.offset = start_within(round_of(drawn), rate.random_start, place);
  return drawn;
}

RandomWalkRate sample_changing(const RandomWalkRateScenario& rate, Rng rng, Rng) {
  const Bandwidth middle = Bandwidth::from_mbps(sample(rate.mbps, rng.fork(kLevel)));
  return {.min = middle * (1 / rate.span),
          .max = middle * rate.span,
          .every = rate.every,
          .deviation = rate.deviation};
}

SatelliteRate sample_changing(const SatelliteRateScenario& rate, Rng rng, Rng place) {
  return {.rate = Bandwidth::from_mbps(sample(rate.mbps, rng.fork(kLevel))),
          .interval = rate.interval,
          .low = rate.low_factor,
          .high = rate.high_factor,
          .outage = sample_ms(rate.outage_ms, rng.fork(kDepth)),
          .offset = start_within(rate.interval, rate.random_start, place)};
}

WifiRate sample_changing(const WifiRateScenario& rate, Rng rng, Rng) {
  return {.phy_rates = rate.phy_rates,
          .hold = rate.hold,
          .gap = rate.gap,
          .overhead = rate.overhead,
          .airtime = rate.airtime,
          .aggregate_packets = rate.aggregate_packets,
          .scale = sample(rate.scale, rng.fork(kLevel))};
}

Bandwidth mean_changing(const PeriodicRate& rate) {
  double bits = 0;
  for (const PeriodicRate::Part& part : rate.parts) bits += part.rate.bps() * part.length.to_seconds();
  return Bandwidth::from_bps(bits / round_of(rate).to_seconds());
}

Bandwidth mean_changing(const RandomWalkRate& rate) {
  if (rate.min == rate.max) return rate.min;
  return Bandwidth::from_bps((rate.max.bps() - rate.min.bps()) / std::log(rate.max.bps() / rate.min.bps()));
}

Bandwidth mean_changing(const SatelliteRate& rate) {
  return rate.rate * ((rate.low + rate.high) / 2 * (1 - rate.outage / rate.interval));
}

// Every rate in the air is met equally long, and while it lasts one aggregate follows another.
Bandwidth mean_changing(const WifiRate& rate) {
  double bps = 0;
  for (const Bandwidth phy_rate : rate.phy_rates) {
    const Bandwidth scaled = phy_rate * rate.scale;
    const ByteCount bytes(wifi_aggregate(rate, scaled) * kOpportunityBytes);
    bps += Bandwidth::from_bytes_over(bytes, rate.gap + wifi_transmission(rate, scaled)).bps();
  }
  return Bandwidth::from_bps(bps / static_cast<double>(rate.phy_rates.size()));
}

DelayVariation sample_changing(const DelayVariationScenario& delay, Rng rng, Rng place) {
  DelayVariation drawn{.every = sample_ms(delay.every_ms, rng.fork(kTime)),
                       .step_low = Duration::from_ms_f(delay.step_ms.low),
                       .step_high = Duration::from_ms_f(delay.step_ms.high),
                       .offset = Duration::zero(),
                       .seed = rng.fork(kSteps).next_u64(),
                       .jitter = sample_ms(delay.jitter_ms, rng.fork(kDepth))};
  drawn.offset = start_within(drawn.every, delay.random_start, place);
  return drawn;
}

Reordering sample_changing(const ReorderingScenario& reordering, Rng rng) {
  return {.probability = sample(reordering.probability, rng.fork(kLevel)),
          .extra = sample_ms(reordering.extra_ms, rng.fork(kTime))};
}

}  // namespace mvfstrl
