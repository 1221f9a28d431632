#include "path/config.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace mvfstrl {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

void require_positive(Bandwidth rate, const std::string& name) {
  if (!(rate.bps() > 0) || !std::isfinite(rate.bps())) {
    refuse(name + " must be a positive rate, got " + std::to_string(rate.to_mbps()) + " Mbps");
  }
}

void require_positive(Duration span, const std::string& name) {
  if (span <= Duration::zero())
    refuse(name + " must be positive, got " + std::to_string(span.to_ms()) + " ms");
}

void require_limit(const std::optional<std::int64_t>& limit, const std::string& name) {
  if (limit && *limit <= 0) refuse(name + " must be positive, got " + std::to_string(*limit));
}

void check(const ConstantRate& c) { require_positive(c.rate, "rate"); }

void check(const PoissonRate& p) { require_positive(p.rate, "rate"); }

void check(const TraceRate& t) {
  if (!t.trace) refuse("trace is missing");
  if (!(t.from_fraction >= 0 && t.from_fraction < t.to_fraction && t.to_fraction <= 1)) {
    refuse("trace " + t.trace->name() + ": need 0 <= from_fraction < to_fraction <= 1, got " +
           std::to_string(t.from_fraction) + " and " + std::to_string(t.to_fraction));
  }
  if (t.offset < Duration::zero()) refuse("trace " + t.trace->name() + ": offset must not be negative");
}

void check(const CellularRate& c) {
  const CellularParameters& p = c.parameters;
  require_positive(p.level, "level");
  require_positive(p.max, "max");
  if (p.level > p.max) refuse("level must not exceed max");
  if (!(p.volatility.bps() >= 0) || !std::isfinite(p.volatility.bps())) {
    refuse("volatility must not be negative");
  }
  require_positive(p.reversion, "reversion");
  if (p.outage < Duration::zero()) refuse("outage must not be negative");
  if (!(p.burst >= 1) || !std::isfinite(p.burst)) {
    refuse("burst must be at least 1, got " + std::to_string(p.burst));
  }
  if (!(c.scale > 0) || !std::isfinite(c.scale)) {
    refuse("scale must be positive, got " + std::to_string(c.scale));
  }
}

void require_fraction(double value, const std::string& name) {
  if (!(value >= 0 && value <= 1)) refuse(name + " must lie in [0, 1], got " + std::to_string(value));
}

void require_non_negative(Duration span, const std::string& name) {
  if (span < Duration::zero())
    refuse(name + " must not be negative, got " + std::to_string(span.to_ms()) + " ms");
}

void check(const PeriodicRate& p) {
  if (p.parts.empty()) refuse("a periodic rate needs a part");
  bool sends = false;
  for (const PeriodicRate::Part& part : p.parts) {
    require_positive(part.length, "length of a part");
    if (!(part.rate.bps() >= 0) || !std::isfinite(part.rate.bps())) refuse("rate must not be negative");
    sends = sends || part.rate.bps() >= 1;
  }
  if (!sends) refuse("rate is zero in every part");
  require_non_negative(p.offset, "offset");
}

void check(const RandomWalkRate& w) {
  require_positive(w.min, "min");
  require_positive(w.max, "max");
  if (w.min.bps() < 1) refuse("min must be at least one bit a second");
  if (w.min > w.max) refuse("min must not exceed max");
  require_positive(w.every, "every");
  if (!(w.deviation >= 0) || !std::isfinite(w.deviation)) refuse("deviation must not be negative");
}

void check(const SatelliteRate& s) {
  require_positive(s.rate, "rate");
  require_positive(s.interval, "interval");
  if (!(s.low > 0 && s.low <= s.high) || !std::isfinite(s.high)) {
    refuse("need 0 < low <= high, got " + std::to_string(s.low) + " and " + std::to_string(s.high));
  }
  if (s.rate.bps() * s.low < 1) refuse("rate times low must be at least one bit a second");
  require_non_negative(s.outage, "outage");
  if (s.outage >= s.interval) refuse("outage must be shorter than interval");
  require_non_negative(s.offset, "offset");
}

void check(const WifiRate& w) {
  if (w.phy_rates.empty()) refuse("a Wi-Fi link needs a rate");
  for (std::size_t i = 0; i < w.phy_rates.size(); ++i) {
    require_positive(w.phy_rates[i], "phy rate");
    if (i > 0 && w.phy_rates[i] <= w.phy_rates[i - 1]) refuse("phy rates must rise");
  }
  require_positive(w.hold, "hold");
  require_non_negative(w.gap, "gap");
  require_non_negative(w.overhead, "overhead");
  require_positive(w.airtime, "airtime");
  if (w.aggregate_packets < 1) refuse("aggregate_packets must be at least 1");
  if (!(w.scale > 0) || !std::isfinite(w.scale)) refuse("scale must be positive");
}

void check(const DelayVariation& v) {
  require_positive(v.every, "delay_variation every");
  require_non_negative(v.step_low, "delay_variation step_low");
  if (v.step_high < v.step_low) refuse("delay_variation step_high must not be below step_low");
  require_non_negative(v.offset, "delay_variation offset");
  require_non_negative(v.jitter, "delay_variation jitter");
}

}  // namespace

void validate(const RateConfig& rate) {
  std::visit([](const auto& kind) { check(kind); }, rate);
}

void validate(const QueueConfig& queue) {
  require_limit(queue.packets, "queue packets");
  require_limit(queue.bytes, "queue bytes");
  const bool limited = queue.packets || queue.bytes;
  const bool needs_limit = queue.kind == QueueKind::kDropTail || queue.kind == QueueKind::kDropHead;
  if (needs_limit && !limited) refuse("a drop-tail or drop-head queue needs a limit in packets or bytes");
  if (queue.kind == QueueKind::kInfinite && limited) refuse("an infinite queue takes no limit");
  require_positive(queue.codel.target, "codel target");
  require_positive(queue.codel.interval, "codel interval");
  require_positive(queue.pie.target, "pie target");
  require_positive(queue.pie.update_interval, "pie update_interval");
  if (queue.pie.max_burst < Duration::zero()) refuse("pie max_burst must not be negative");
  if (!(queue.pie.alpha >= 0) || !(queue.pie.beta >= 0)) refuse("pie alpha and beta must not be negative");
}

void validate(const DirectionConfig& direction) {
  validate(direction.rate);
  validate(direction.queue);
  require_non_negative(direction.delay, "delay");
  require_fraction(direction.loss, "loss");
  check(direction.delay_variation);
  require_fraction(direction.reordering.probability, "reordering probability");
  require_non_negative(direction.reordering.extra, "reordering extra");
  require_fraction(direction.duplication, "duplication");
}

}  // namespace mvfstrl
