// What a path is made of: plain values, checked when a Direction is built from them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

#include "common/units.h"
#include "path/trace.h"

namespace mvfstrl {

// A wire that sends one packet after another, each for size / rate.
struct ConstantRate {
  Bandwidth rate;
};

// Opportunities of 1500 bytes with exponentially distributed gaps, `rate` on average.
struct PoissonRate {
  Bandwidth rate;
};

// A mahimahi trace, played on mahimahi's millisecond clock: opportunities of 1504 bytes, executed before the
// packets that arrive in their millisecond are admitted.
struct TraceRate {
  std::shared_ptr<const Trace> trace;
  // The part of the trace's period that is played, re-based to its own start; it wraps within itself.
  double from_fraction = 0;
  double to_fraction = 1;
  // How far into that part time zero lies; whole milliseconds (rounded down), taken modulo the part's length.
  Duration offset = Duration::zero();
};

// Sprout's model of a cellular link (Winstein, Sivaraman, Balakrishnan: "Stochastic forecasts achieve high
// throughput and low delay over cellular networks", NSDI 2013, section 3): opportunities of 1500 bytes are a
// Poisson process whose rate wanders as Brownian motion and sticks at zero during outages. Three changes let
// long runs have a given mean and variation: the rate is drawn back to a level, capped at a maximum, and
// opportunities come in bursts of geometric size. All rates count opportunities as 1500 bytes.
struct CellularParameters {
  Bandwidth level = Bandwidth::from_mbps(5);       // what the rate is drawn back to; the mean is near it
  Bandwidth max = Bandwidth::from_mbps(15);        // the rate never exceeds it
  Bandwidth volatility = Bandwidth::from_mbps(2);  // standard deviation of the rate's motion over one second
  Duration reversion = Duration::from_ms(5'000);   // time constant with which the rate returns to `level`
  Duration outage = Duration::from_ms(500);        // mean of the exponential time spent at rate zero, a visit
  double burst = 1;                                // mean number of opportunities at one instant, at least 1
};

struct CellularRate {
  CellularParameters parameters;
  double scale = 1;  // multiplies every rate of the process
};

using RateConfig = std::variant<ConstantRate, PoissonRate, TraceRate, CellularRate>;

enum class QueueKind : std::uint8_t { kInfinite, kDropTail, kDropHead, kCodel, kPie };
// kRfc: as the discipline's RFC has it. kMahimahi: as mahimahi's mm-link has it, quirks and millisecond clock
// included; differs for CoDel and PIE only.
enum class QueueFlavour : std::uint8_t { kRfc, kMahimahi };

// RFC 8289 section 4.
struct CodelParameters {
  Duration target = Duration::from_ms(5);
  Duration interval = Duration::from_ms(100);
};

// RFC 8033 sections 4 and 5.
struct PieParameters {
  Duration target = Duration::from_ms(15);           // QDELAY_REF
  Duration update_interval = Duration::from_ms(15);  // T_UPDATE
  Duration max_burst = Duration::from_ms(150);       // MAX_BURST
  double alpha = 0.125;                              // per second of delay
  double beta = 1.25;
};

// Limits count what waits; the packet on the wire is not in the queue. Drop-tail and drop-head need at least
// one limit, an infinite queue takes none, for CoDel and PIE they are the tail limit of the buffer below.
struct QueueConfig {
  QueueKind kind = QueueKind::kInfinite;
  std::optional<std::int64_t> packets = std::nullopt;
  std::optional<std::int64_t> bytes = std::nullopt;
  CodelParameters codel = {};
  PieParameters pie = {};
  QueueFlavour flavour = QueueFlavour::kRfc;
};

struct DirectionConfig {
  RateConfig rate = ConstantRate{Bandwidth::from_mbps(12)};
  QueueConfig queue = {};
  Duration delay = Duration::zero();  // propagation
  double loss = 0;                    // probability with which each packet is lost at random
};

// Throw std::invalid_argument naming the offending member.
void validate(const RateConfig& rate);
void validate(const QueueConfig& queue);
void validate(const DirectionConfig& direction);

}  // namespace mvfstrl
