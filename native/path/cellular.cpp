#include "path/cellular.h"

#include <algorithm>
#include <cmath>

#include "path/opportunities.h"

namespace mvfstrl {
namespace {

enum Stream : std::uint64_t { kOpportunityStream = 1, kRateStream = 2 };

constexpr std::int64_t kWarmUpReversions = 4;

}  // namespace

CellularProcess::CellularProcess(const CellularRate& config, Rng rng)
    : rng_(rng.fork(kOpportunityStream)), rate_rng_(rng.fork(kRateStream)) {
  validate(RateConfig(config));
  const CellularParameters& p = config.parameters;
  const double bursts_a_bit = config.scale / (8.0 * kOpportunityBytes * p.burst);
  level_ = p.level.bps() * bursts_a_bit;
  max_ = p.max.bps() * bursts_a_bit;
  rate_ = level_;
  const double tick_share = kTick / p.reversion;
  keep_ = std::exp(-tick_share);
  tick_deviation_ = p.volatility.bps() * bursts_a_bit *
                    std::sqrt(-std::expm1(-2 * tick_share) / 2 * p.reversion.to_seconds());
  outage_mean_ = p.outage;
  another_in_burst_ = 1.0 - 1.0 / p.burst;
  tick_end_ = TimePoint::zero() - p.reversion * kWarmUpReversions;
  while (tick_end_ <= TimePoint::zero()) step_rate();
  next_burst();
}

void CellularProcess::step_rate() {
  const double moved = level_ + (rate_ - level_) * keep_ + tick_deviation_ * rate_rng_.normal();
  if (moved <= 0 && rate_ > 0 && outage_mean_ > Duration::zero()) {
    rate_ = 0;
    const double seconds = rate_rng_.exponential(outage_mean_.to_seconds());
    tick_end_ += std::max(kTick, Duration::from_seconds(seconds));
    return;
  }
  rate_ = std::min(std::abs(moved), max_);
  tick_end_ += kTick;
}

void CellularProcess::next_burst() {
  // Consumes one unit of exponentially distributed "work" at the current rate, across ticks.
  double work = rng_.exponential(1.0);
  while (true) {
    const double available = rate_ * (tick_end_ - next_).to_seconds();
    if (work < available) {
      next_ += Duration::from_seconds(work / rate_);
      return;
    }
    work -= available;
    next_ = tick_end_;
    step_rate();
  }
}

}  // namespace mvfstrl
