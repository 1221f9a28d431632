// The knobs of scenarios, as config_io reads and writes them.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <string>

#include "environment/config.h"
#include "environment/config_visitor.h"

namespace mvfstrl {

inline constexpr EnumName<QueueKind> kQueueKinds[] = {{QueueKind::kInfinite, "infinite"},
                                                      {QueueKind::kDropTail, "droptail"},
                                                      {QueueKind::kDropHead, "drophead"},
                                                      {QueueKind::kCodel, "codel"},
                                                      {QueueKind::kPie, "pie"}};
inline constexpr EnumName<QueueFlavour> kQueueFlavours[] = {{QueueFlavour::kRfc, "rfc"},
                                                            {QueueFlavour::kMahimahi, "mahimahi"}};
inline constexpr std::array<const char*, std::variant_size_v<RateScenario>> kRateKinds = {
    "constant",      "poisson", "trace",    "cellular",    "constant_trace", "periodic_trace",
    "poisson_trace", "steps",   "sawtooth", "random_walk", "satellite",      "wifi"};

template <class V>
void visit_fields(V& v, Range& r) {
  v.field("low", r.low);
  v.field("high", r.high);
  v.field("log", r.log);
}
inline void validate(const Range& r, const std::string& path, const Check& check) {
  config_detail::read_number(Value(r.low), path + ".low", check);
  config_detail::read_number(Value(r.high), path + ".high", check);
  if (r.high < r.low) throw ConfigError(path, "high is below low");
  if (r.log && r.low <= 0) throw ConfigError(path + ".low", "must be positive where log is true");
}

template <class V>
void visit_fields(V& v, ConstantRateScenario& s) {
  v.field("mbps", s.mbps, kPositive);
}
template <class V>
void visit_fields(V& v, PoissonRateScenario& s) {
  v.field("mbps", s.mbps, kPositive);
}
template <class V>
void visit_fields(V& v, TraceRateScenario& s) {
  v.field("file", s.file);
  v.field("from_fraction", s.from_fraction, kFraction);
  v.field("to_fraction", s.to_fraction, kUnitOpenLow);
  v.field("random_offset", s.random_offset);
  v.field("offset_ms", s.offset_ms, kNonNegative);
}
template <class V>
void visit_fields(V& v, CellularRateScenario& s) {
  v.field("level_mbps", s.parameters.level, kPositive);
  v.field("max_mbps", s.parameters.max, kPositive);
  v.field("volatility_mbps", s.parameters.volatility, kNonNegative);
  v.field("reversion_ms", s.parameters.reversion, kPositive);
  v.field("outage_ms", s.parameters.outage, kPositive);
  v.field("burst", s.parameters.burst, kAtLeastOne);
  v.field("scale", s.scale, kPositive);
}
template <class V>
void visit_fields(V& v, ConstantTraceScenario& s) {
  v.field("mbps", s.mbps, kPositive);
  v.field("start_ms", s.start_ms, kNonNegative);
}
template <class V>
void visit_fields(V& v, PeriodicTraceScenario& s) {
  v.field("opportunities", s.opportunities, kAtLeastOne);
  v.field("every_ms", s.every, kPositive);
  v.field("start_ms", s.start_ms, kNonNegative);
}
template <class V>
void visit_fields(V& v, PoissonTraceScenario& s) {
  v.field("mbps", s.mbps, kPositive);
  v.field("head_ms", s.head, kNonNegative);
  v.field("start_ms", s.start_ms, kNonNegative);
  v.field("seed", s.seed, kNonNegative);
}
template <class V>
void visit_fields(V& v, StepsRateScenario& s) {
  v.field("mbps", s.mbps, kPositive);
  v.field("factors", s.factors, kPositive);
  v.field("every_ms", s.every_ms, kPositive);
  v.field("random_start", s.random_start);
}
template <class V>
void visit_fields(V& v, SawtoothRateScenario& s) {
  v.field("mbps", s.mbps, kPositive);
  v.field("factor", s.factor, kPositive);
  v.field("period_ms", s.period_ms, kPositive);
  v.field("step_ms", s.step, kPositive);
  v.field("random_start", s.random_start);
}
template <class V>
void visit_fields(V& v, RandomWalkRateScenario& s) {
  v.field("mbps", s.mbps, kPositive);
  v.field("span", s.span, kAtLeastOne);
  v.field("every_ms", s.every, kPositive);
  v.field("deviation", s.deviation, kNonNegative);
}
template <class V>
void visit_fields(V& v, SatelliteRateScenario& s) {
  v.field("mbps", s.mbps, kPositive);
  v.field("interval_ms", s.interval, kPositive);
  v.field("low_factor", s.low_factor, kPositive);
  v.field("high_factor", s.high_factor, kPositive);
  v.field("outage_ms", s.outage_ms, kNonNegative);
  v.field("random_start", s.random_start);
}
template <class V>
void visit_fields(V& v, WifiRateScenario& s) {
  v.field("phy_mbps", s.phy_rates, kPositive);
  v.field("hold_ms", s.hold, kPositive);
  v.field("gap_ms", s.gap, kNonNegative);
  v.field("overhead_ms", s.overhead, kNonNegative);
  v.field("airtime_ms", s.airtime, kPositive);
  v.field("aggregate_packets", s.aggregate_packets, kAtLeastOne);
  v.field("scale", s.scale, kPositive);
}
template <class V>
void visit_fields(V& v, RateScenario& s) {
  v.alternatives("kind", s, kRateKinds);
}

// What the fields of one kind ask of each other; a kind is read as part of the variant, so it is checked
// here.
inline void validate(const RateScenario& rate, const std::string& path) {
  if (const auto* steps = std::get_if<StepsRateScenario>(&rate); steps && steps->factors.empty()) {
    throw ConfigError(path + ".factors", "must not be empty");
  }
  if (const auto* satellite = std::get_if<SatelliteRateScenario>(&rate)) {
    if (satellite->high_factor < satellite->low_factor) {
      throw ConfigError(path + ".high_factor", "must not be below low_factor");
    }
    if (Duration::from_ms_f(satellite->outage_ms.high) >= satellite->interval) {
      throw ConfigError(path + ".outage_ms", "must be shorter than interval_ms");
    }
  }
  if (const auto* wifi = std::get_if<WifiRateScenario>(&rate)) {
    const auto& rates = wifi->phy_rates;
    if (rates.empty()) throw ConfigError(path + ".phy_mbps", "must not be empty");
    if (std::adjacent_find(rates.begin(), rates.end(), std::greater_equal<>()) != rates.end()) {
      throw ConfigError(path + ".phy_mbps", "must rise");
    }
  }
}

template <class V>
void visit_fields(V& v, CodelParameters& p) {
  v.knob("target_ms", p.target, kPositive);
  v.knob("interval_ms", p.interval, kPositive);
}
template <class V>
void visit_fields(V& v, PieParameters& p) {
  v.knob("target_ms", p.target, kPositive);
  v.knob("update_interval_ms", p.update_interval, kPositive);
  v.knob("max_burst_ms", p.max_burst, kNonNegative);
  v.knob("alpha", p.alpha, kNonNegative);
  v.knob("beta", p.beta, kNonNegative);
}
template <class V>
void visit_fields(V& v, QueueScenario& q) {
  v.choice("kind", q.kind, kQueueKinds);
  v.field("packets", q.packets, kAtLeastOne);
  v.field("bytes", q.bytes, kAtLeastOne);
  v.field("bdp", q.bdp, kPositive);
  v.field("codel", q.codel);
  v.field("pie", q.pie);
  v.choice("flavour", q.flavour, kQueueFlavours);
}
inline void validate(const QueueScenario& q, const std::string& path) {
  const bool limited = q.packets || q.bytes || q.bdp;
  if (q.kind == QueueKind::kInfinite && limited) {
    throw ConfigError(path, "an infinite queue takes no packets, bytes or bdp limit");
  }
  const bool needs_limit = q.kind == QueueKind::kDropTail || q.kind == QueueKind::kDropHead;
  if (needs_limit && !limited) throw ConfigError(path, "needs a limit: packets, bytes or bdp");
}

template <class V>
void visit_fields(V& v, DelayVariationScenario& d) {
  v.field("every_ms", d.every_ms, kPositive);
  v.field("step_ms", d.step_ms, kNonNegative);
  v.field("jitter_ms", d.jitter_ms, kNonNegative);
  v.field("random_start", d.random_start);
}
inline void validate(const DelayVariationScenario& d, const std::string& path) {
  if (d.step_ms.log) throw ConfigError(path + ".step_ms.log", "is not offered: steps are drawn uniformly");
}
template <class V>
void visit_fields(V& v, ReorderingScenario& r) {
  v.field("probability", r.probability, kFraction);
  v.field("extra_ms", r.extra_ms, kPositive);
}

template <class V>
void visit_fields(V& v, ScenarioConfig& s) {
  v.field("name", s.name);
  v.field("weight", s.weight, kNonNegative);
  v.field("uplink", s.uplink);
  v.field("downlink", s.downlink);
  v.field("delay_ms", s.delay_ms, kPositive);
  v.field("loss", s.loss, kFraction);
  v.field("loss_probability", s.loss_probability, kFraction);
  v.knob("delay_variation", s.delay_variation);
  v.knob("reordering", s.reordering);
  v.knob("duplication", s.duplication, kFraction);
  v.field("queue", s.queue);
  v.field("ack_queue", s.ack_queue);
  v.field("overhead_bytes", s.overhead_bytes, kNonNegative);
}

}  // namespace mvfstrl
