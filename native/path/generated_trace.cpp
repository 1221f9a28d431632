#include "path/generated_trace.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mvfstrl {
namespace {

constexpr double kOpportunityKilobits = 12;  // 1500 bytes: 12 ms at 1 Mbps

void require_rate(Bandwidth rate) {
  if (!(rate.bps() > 0) || !std::isfinite(rate.bps())) {
    throw std::invalid_argument("trace rate must be positive, got " + std::to_string(rate.to_mbps()) +
                                " Mbps");
  }
}

}  // namespace

std::shared_ptr<const Trace> constant_trace(Bandwidth rate) {
  require_rate(rate);
  const double mbps = rate.to_mbps();
  const auto count = std::llround(kGeneratedLength.to_ms() * mbps / kOpportunityKilobits);
  std::vector<std::uint32_t> times_ms;
  times_ms.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    // In this order: 12 / Mbps as a rounded factor would move some opportunities by a millisecond.
    times_ms.push_back(static_cast<std::uint32_t>(static_cast<double>(i) * kOpportunityKilobits / mbps));
  }
  return Trace::from_timestamps(std::move(times_ms), "constant trace of " + std::to_string(mbps) + " Mbps");
}

std::shared_ptr<const Trace> periodic_trace(int opportunities, Duration every) {
  const auto period_ms = static_cast<std::uint32_t>(every.ns() / 1'000'000);
  if (opportunities < 1 || period_ms < 1) {
    throw std::invalid_argument("a periodic trace needs an opportunity and a millisecond, got " +
                                std::to_string(opportunities) + " every " + std::to_string(every.to_ms()) +
                                " ms");
  }
  return Trace::from_timestamps(
      std::vector<std::uint32_t>(static_cast<std::size_t>(opportunities), period_ms), "periodic trace");
}

std::shared_ptr<const Trace> poisson_trace(const PoissonTrace& parameters, Rng rng) {
  require_rate(parameters.rate);
  std::vector<std::uint32_t> times_ms;
  std::int64_t now_ms = 0;
  const std::int64_t head_ms = parameters.head.ns() / 1'000'000;
  constexpr std::int64_t head_gap_ms = PoissonTrace::kHeadGap.ns() / 1'000'000;
  constexpr std::int64_t length_ms = kGeneratedLength.ns() / 1'000'000;
  while (now_ms + head_gap_ms <= std::min(head_ms, length_ms)) {
    now_ms += head_gap_ms;
    times_ms.push_back(static_cast<std::uint32_t>(now_ms));
  }
  const double mean_gap_ms = kOpportunityKilobits / parameters.rate.to_mbps();
  while (now_ms < length_ms) {
    now_ms += std::llround(rng.exponential(mean_gap_ms));
    times_ms.push_back(static_cast<std::uint32_t>(now_ms));
  }
  return Trace::from_timestamps(std::move(times_ms), "Poisson trace");
}

}  // namespace mvfstrl
