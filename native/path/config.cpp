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
  if (direction.delay < Duration::zero()) {
    refuse("delay must not be negative, got " + std::to_string(direction.delay.to_ms()) + " ms");
  }
  if (!(direction.loss >= 0 && direction.loss <= 1)) {
    refuse("loss must lie in [0, 1], got " + std::to_string(direction.loss));
  }
}

}  // namespace mvfstrl
