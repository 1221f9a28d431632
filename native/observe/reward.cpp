#include "observe/reward.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

namespace mvfstrl {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

using Named = std::initializer_list<std::pair<const char*, double>>;

[[noreturn]] void refuse(const char* key, const char* demand, double value) {
  throw std::invalid_argument("reward." + std::string(key) + " must be " + demand + ", got " +
                              std::to_string(value));
}

void check_finite(Named weights) {
  for (const auto& [key, value] : weights) {
    if (!std::isfinite(value)) refuse(key, "finite", value);
  }
}

void check_positive(Named values) {
  for (const auto& [key, value] : values) {
    if (!std::isfinite(value) || value <= 0) refuse(key, "positive", value);
  }
}

double megabytes(ByteCount bytes) { return static_cast<double>(bytes.value()) * 1e-6; }
double megabytes_per_second(const WindowSummary& window) { return window.throughput() * 1e-6; }
double delay_ms(const WindowSummary& window, bool use_max) {
  return (use_max ? window.max_delay : window.mean_delay).to_ms();
}

RewardTerms value(const LogRatioReward& weights, const WindowSummary& window) {
  RewardTerms terms{.throughput = weights.throughput_factor *
                                  std::log(weights.throughput_offset + megabytes_per_second(window)),
                    .delay = -weights.delay_factor *
                             std::log(weights.delay_offset + delay_ms(window, weights.use_max_delay))};
  if (weights.loss_factor != 0) {
    terms.loss = -weights.loss_factor * std::log(weights.loss_offset + megabytes(window.lost));
  }
  return terms;
}

RewardTerms value(const LinearReward& weights, const WindowSummary& window) {
  return {.throughput = weights.throughput_factor * megabytes_per_second(window),
          .delay = -weights.delay_factor * delay_ms(window, weights.use_max_delay),
          .loss = -weights.loss_factor * megabytes(window.lost)};
}

RewardTerms value(const PowerReward& weights, const WindowSummary& window) {
  const Duration rtt =
      std::max(window.mean_rtt, Duration::from_us(1));  // a clock's least: never divides by 0
  return {.throughput = weights.scale * std::pow(megabytes_per_second(window), weights.throughput_exponent) /
                        rtt.to_seconds()};
}

RewardTerms value(const AuroraReward& weights, const WindowSummary& window) {
  return {.throughput = weights.throughput_factor * window.throughput() / weights.packet_bytes,
          .delay = -weights.latency_factor * window.mean_rtt.to_seconds(),
          .loss = -weights.loss_factor * window.loss_fraction()};
}

// A window of nothing but losses is worth log(0.01) of them, not minus infinity.
constexpr double kLossWeight = 0.99;

RewardTerms value(const LogPowerReward& weights, const WindowSummary& window) {
  const Duration rtt = std::max(window.mean_rtt, Duration::from_us(1));
  return {.throughput =
              weights.throughput_factor * std::log(weights.throughput_offset + megabytes_per_second(window)),
          .delay = -weights.rtt_factor * std::log(rtt.to_seconds()),
          .loss = weights.loss_factor * std::log(1 - kLossWeight * window.loss_fraction())};
}

void check(const LogRatioReward& weights) {
  check_finite({{"throughput_factor", weights.throughput_factor},
                {"delay_factor", weights.delay_factor},
                {"loss_factor", weights.loss_factor}});
  check_positive({{"throughput_offset", weights.throughput_offset},
                  {"delay_offset", weights.delay_offset},
                  {"loss_offset", weights.loss_offset}});
}

void check(const LinearReward& weights) {
  check_finite({{"throughput_factor", weights.throughput_factor},
                {"delay_factor", weights.delay_factor},
                {"loss_factor", weights.loss_factor}});
}

void check(const PowerReward& weights) {
  check_finite({{"scale", weights.scale}});
  check_positive({{"throughput_exponent", weights.throughput_exponent}});
}

void check(const AuroraReward& weights) {
  check_finite({{"throughput_factor", weights.throughput_factor},
                {"latency_factor", weights.latency_factor},
                {"loss_factor", weights.loss_factor}});
  check_positive({{"packet_bytes", weights.packet_bytes}});
}

void check(const LogPowerReward& weights) {
  check_finite({{"throughput_factor", weights.throughput_factor},
                {"rtt_factor", weights.rtt_factor},
                {"loss_factor", weights.loss_factor}});
  check_positive({{"throughput_offset", weights.throughput_offset}});
}

}  // namespace

std::string_view reward_name(const RewardConfig& config) {
  return std::visit(Overloaded{[](const LogRatioReward&) { return std::string_view("log_ratio"); },
                               [](const LinearReward&) { return std::string_view("linear"); },
                               [](const PowerReward&) { return std::string_view("power"); },
                               [](const AuroraReward&) { return std::string_view("aurora"); },
                               [](const LogPowerReward&) { return std::string_view("log_power"); }},
                    config);
}

Reward::Reward(const RewardConfig& config) : config_(config) {
  std::visit([](const auto& weights) { check(weights); }, config_);
}

RewardTerms Reward::terms(const WindowSummary& window) const {
  return std::visit([&window](const auto& weights) { return value(weights, window); }, config_);
}

}  // namespace mvfstrl
