#include "path/wifi.h"

#include <algorithm>

#include "path/opportunities.h"

namespace mvfstrl {
namespace {

enum Stream : std::uint64_t { kAccessStream = 1, kRateStream = 2 };

}  // namespace

std::int64_t wifi_aggregate(const WifiRate& config, Bandwidth phy_rate) {
  const std::int64_t fitting = phy_rate.bytes_in(config.airtime).value() / kOpportunityBytes;
  return std::clamp<std::int64_t>(fitting, 1, config.aggregate_packets);
}

Duration wifi_transmission(const WifiRate& config, Bandwidth phy_rate) {
  return config.overhead +
         phy_rate.transfer_time(ByteCount(wifi_aggregate(config, phy_rate) * kOpportunityBytes));
}

WifiProcess::WifiProcess(const WifiRate& config, Rng rng)
    : rng_(rng.fork(kAccessStream)), rate_rng_(rng.fork(kRateStream)), config_(config) {
  validate(RateConfig(config));
  for (Bandwidth& rate : config_.phy_rates) rate = rate * config_.scale;
  rate_ = static_cast<std::size_t>(rate_rng_.below(config_.phy_rates.size()));
  rate_end_ = TimePoint::zero() + Duration::from_seconds(rate_rng_.exponential(config_.hold.to_seconds()));
  next_transmission();
}

// To a neighbour in the list, up or down with the same chance; at its ends half of the changes change
// nothing.
void WifiProcess::change_rate() {
  const bool up = rate_rng_.bernoulli(0.5);
  if (up && rate_ + 1 < config_.phy_rates.size()) ++rate_;
  if (!up && rate_ > 0) --rate_;
  const Duration held = Duration::from_seconds(rate_rng_.exponential(config_.hold.to_seconds()));
  rate_end_ += std::max(Duration::from_ns(1), held);
}

void WifiProcess::next_transmission() {
  next_ += Duration::from_seconds(rng_.exponential(config_.gap.to_seconds()));
  while (rate_end_ <= next_) change_rate();
  const Bandwidth phy_rate = config_.phy_rates[rate_];
  left_ = wifi_aggregate(config_, phy_rate);
  next_ += std::max(Duration::from_ns(1), wifi_transmission(config_, phy_rate));
}

}  // namespace mvfstrl
