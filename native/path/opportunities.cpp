#include "path/opportunities.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace mvfstrl {

TracePlayer::TracePlayer(const TraceRate& config) : trace_(config.trace) {
  validate(RateConfig(config));
  const auto& stamps = trace_->timestamps_ms();
  const double length = trace_->period_ms();
  const bool to_end = config.to_fraction == 1;
  const auto from = static_cast<std::uint32_t>(std::floor(config.from_fraction * length));
  const auto to = static_cast<std::uint32_t>(std::floor(config.to_fraction * length));
  const auto first = std::lower_bound(stamps.begin(), stamps.end(), from);
  // The whole trace ends with, and includes, its last timestamp (mahimahi's period); a part of it is half
  // open.
  const auto last = to_end ? stamps.end() : std::lower_bound(stamps.begin(), stamps.end(), to);
  if (first >= last || to <= from) {
    throw std::invalid_argument("trace " + trace_->name() + ": no opportunity between from_fraction " +
                                std::to_string(config.from_fraction) + " and to_fraction " +
                                std::to_string(config.to_fraction));
  }
  begin_ = stamps.data() + (first - stamps.begin());
  end_ = stamps.data() + (last - stamps.begin());
  period_ = Duration::from_ms(to - from);
  const std::int64_t offset_ms = config.offset.ns() / 1'000'000 % (to - from);
  base_ = TimePoint::zero() - Duration::from_ms(from + offset_ms);
  cursor_ = std::lower_bound(begin_, end_, static_cast<std::uint32_t>(from + offset_ms));
  if (cursor_ == end_) wrap();
  next_ = base_ + Duration::from_ms(*cursor_);
}

PoissonProcess::PoissonProcess(const PoissonRate& config, Rng rng) : rng_(rng) {
  validate(RateConfig(config));
  mean_gap_seconds_ = config.rate.transfer_time(ByteCount(kOpportunityBytes)).to_seconds();
  advance();
}

Opportunities::Process Opportunities::make_process(const RateConfig& rate, Rng rng) {
  if (const auto* trace = std::get_if<TraceRate>(&rate)) return TracePlayer(*trace);
  if (const auto* poisson = std::get_if<PoissonRate>(&rate)) return PoissonProcess(*poisson, rng);
  if (const auto* wifi = std::get_if<WifiRate>(&rate)) return WifiProcess(*wifi, rng);
  return CellularProcess(std::get<CellularRate>(rate), rng);
}

Opportunities::Opportunities(const RateConfig& rate, Rng rng)
    : process_(make_process(rate, rng)),
      next_(std::visit([](const auto& process) { return process.next(); }, process_)),
      bytes_(std::holds_alternative<TraceRate>(rate) ? kTraceOpportunityBytes : kOpportunityBytes) {}

}  // namespace mvfstrl
