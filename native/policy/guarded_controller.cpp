#include "policy/guarded_controller.h"

#include <algorithm>
#include <type_traits>

namespace mvfstrl {
namespace {

// Puts the one of `Controllers` that `Config` belongs to into the variant.
template <class Config, class... Controllers>
CongestionController* emplace(std::variant<std::monostate, Controllers...>& storage, const Config& config,
                              const WindowLimits& limits, Rng rng) {
  CongestionController* built = nullptr;
  const auto try_one = [&]<class Controller>(std::type_identity<Controller>) {
    if constexpr (std::is_constructible_v<Controller, const Config&, const WindowLimits&, Rng>) {
      built = &storage.template emplace<Controller>(config, limits, rng);
    } else if constexpr (std::is_constructible_v<Controller, const Config&, const WindowLimits&>) {
      built = &storage.template emplace<Controller>(config, limits);
    }
  };
  (try_one(std::type_identity<Controllers>{}), ...);
  return built;
}

}  // namespace

GuardedController::GuardedController(const GuardConfig& config, const WindowLimits& limits,
                                     const ExternalConfig& external, const WindowLimits& fallback_limits,
                                     Rng rng)
    : config_(config.fallback),
      fallback_limits_(fallback_limits),
      rng_(rng),
      guard_(config, limits.minimum(), limits.maximum()),
      policy_(limits, external) {
  start_fallback(fallback_limits_);
}

void GuardedController::start_fallback(const WindowLimits& limits) {
  std::visit([&](const auto& config) { fallback_ = emplace(storage_, config, limits, rng_); }, config_);
}

Driver GuardedController::decide(TimePoint now, const Decision& decision) {
  const bool before = falling_back();
  const Driver driver = guard_.judge(now, decision, congestion_window());
  if (driver == Driver::kPolicy) {
    policy_.set_window(decision.window);
  } else if (!before) {
    WindowLimits limits = fallback_limits_;
    limits.initial_packets = std::clamp(policy_.congestion_window().value() / limits.packet_size.value(),
                                        limits.minimum_packets, limits.maximum_packets);
    start_fallback(limits);
  }
  return driver;
}

void GuardedController::on_packet_sent(const SentPacket& packet) {
  if (falling_back()) fallback_->on_packet_sent(packet);
}

void GuardedController::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) {
  if (falling_back()) fallback_->on_ack_or_loss(ack, loss, rtt);
}

ByteCount GuardedController::congestion_window() const {
  return falling_back() ? fallback_->congestion_window() : policy_.congestion_window();
}

std::string_view GuardedController::phase_name() const {
  return falling_back() ? fallback_->phase_name() : policy_.phase_name();
}

void GuardedController::set_app_idle(bool idle, TimePoint now) {
  if (falling_back()) fallback_->set_app_idle(idle, now);
}

double GuardedController::pacing_gain() const {
  return falling_back() ? fallback_->pacing_gain() : policy_.pacing_gain();
}

std::optional<Bandwidth> GuardedController::pacing_rate() const {
  return falling_back() ? fallback_->pacing_rate() : policy_.pacing_rate();
}

std::optional<Pace> GuardedController::pace(const RttStats& rtt) const {
  if (falling_back()) return fallback_->pace(rtt);
  if (!policy_.wants_pacing()) return Pace{policy_.congestion_window(), Duration::zero()};
  return policy_.pace(rtt);
}

}  // namespace mvfstrl
