// What a path is made of: plain values, checked when a Direction is built from them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

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

// A wire whose rate holds for the length of a part, part after part, round and round. A packet that is being
// sent when the rate changes is finished at the new one.
struct PeriodicRate {
  struct Part {
    Bandwidth rate;  // may be zero, though not in all parts
    Duration length;
  };
  std::vector<Part> parts;
  Duration offset = Duration::zero();  // how far into the round time zero lies, modulo its length
};

// A wire whose rate moves every so often: its logarithm by a normally distributed step, reflected at the
// bounds. It starts at a rate drawn from the long-run distribution, which is uniform in the logarithm.
struct RandomWalkRate {
  Bandwidth min;
  Bandwidth max;
  Duration every = Duration::from_ms(100);
  double deviation = 0.1;  // standard deviation of a step of the natural logarithm
};

// A wire by way of a satellite that is replaced by another in every slot: nothing is sent while the terminal
// turns to the new one, whose rate is `rate` times a factor drawn uniformly from low to high.
struct SatelliteRate {
  Bandwidth rate;
  Duration interval = Duration::from_ms(15'000);
  double low = 1;
  double high = 1;
  Duration outage = Duration::zero();  // at the start of a slot, shorter than it
  Duration offset = Duration::zero();  // how far into a slot time zero lies
};

// A station of a busy wireless cell. It waits for the medium, sends an aggregate of packets that arrive
// together at its end, and waits again; whether or not it has packets, so that its share of the medium does
// not depend on them. What an aggregate has room for and nobody uses is lost, as in a trace. The rate in the
// air moves between the neighbours of a list.
struct WifiRate {
  std::vector<Bandwidth> phy_rates;            // in the air, rising
  Duration hold = Duration::from_ms(100);      // mean of the exponential time between changes of rate
  Duration gap = Duration::from_ms(2);         // mean of the exponential wait for the medium
  Duration overhead = Duration::from_us(300);  // of a transmission besides its packets
  Duration airtime = Duration::from_ms(4);     // what the packets of an aggregate may take, at least one
  std::int64_t aggregate_packets = 64;         // the most an aggregate holds
  double scale = 1;                            // multiplies the rates in the air
};

using RateConfig = std::variant<ConstantRate, PoissonRate, TraceRate, CellularRate, PeriodicRate,
                                RandomWalkRate, SatelliteRate, WifiRate>;

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

// Delay beyond the propagation delay, behind the link. Packets do not overtake each other for it: one that
// would is held back to its predecessor's time.
struct DelayVariation {
  Duration every = Duration::from_ms(1'000);  // a step holds so long,
  Duration step_low = Duration::zero();       // and is drawn uniformly from here
  Duration step_high = Duration::zero();      // to here
  Duration offset = Duration::zero();         // how far into a step time zero lies
  std::uint64_t seed = 0;                     // of the steps: directions that share it are in step
  Duration jitter = Duration::zero();         // mean of an exponential delay of each packet's own
};

// Some packets take longer and are overtaken by those that follow within that time.
struct Reordering {
  double probability = 0;
  Duration extra = Duration::zero();
};

struct DirectionConfig {
  RateConfig rate = ConstantRate{Bandwidth::from_mbps(12)};
  QueueConfig queue = {};
  Duration delay = Duration::zero();  // propagation
  double loss = 0;                    // probability with which each packet is lost at random
  DelayVariation delay_variation = {};
  Reordering reordering = {};
  double duplication = 0;  // probability with which a packet that was not lost arrives twice
};

// Throw std::invalid_argument naming the offending member.
void validate(const RateConfig& rate);
void validate(const QueueConfig& queue);
void validate(const DirectionConfig& direction);

}  // namespace mvfstrl
