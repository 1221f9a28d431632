#include "transport/sender.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <utility>

#include "transport/wheel_timer.h"

namespace mvfstrl {

namespace {

bool paces(Pacing pacing, const CongestionController* controller) {
  if (pacing == Pacing::kAuto) return controller != nullptr && controller->wants_pacing();
  return pacing == Pacing::kAlways;
}

}  // namespace

Sender::Sender(const TransportConfig& config, std::unique_ptr<CongestionController> controller,
               const AppConfig& app, TimePoint start, Rng rng)
    : config_(config),
      controller_(std::move(controller)),
      app_(app, config.window.packet_size, start, rng),
      pacer_(config, paces(config.pacing, controller_.get())),
      alarm_base_(start) {
  config_.validate();
  if (controller_ == nullptr) throw std::invalid_argument("a sender needs a controller");
  notify_sent_ = controller_->wants_packet_sent();
}

const ConnectionStats& Sender::stats() {
  update_window_stats();
  return stats_;
}

void Sender::update_window_stats() {
  stats_.congestion_window = controller_->congestion_window();
  stats_.writable = std::max(ByteCount::zero(), stats_.congestion_window - stats_.bytes_in_flight);
}

bool Sender::finished() const {
  return app_.exhausted() && retransmit_ == ByteCount::zero() && stats_.packets_in_flight == 0;
}

TimePoint Sender::next_timer() const {
  TimePoint next = loss_alarm();
  if (!app_.has_data()) next = std::min(next, app_.next_event());
  if (pacing_blocked_) next = std::min(next, pacer_.next_release());
  return next;
}

void Sender::on_timer(TimePoint now) {
  plain_window_ = ByteCount::zero();
  app_.advance(now);
  if (now < loss_alarm()) return;
  if (loss_time_) {
    const ByteCount prior_in_flight = stats_.bytes_in_flight;
    acked_.clear();
    lost_.clear();
    acked_bytes_ = ByteCount::zero();
    detect_losses(now);
    if (!lost_.empty()) deliver_event(now, prior_in_flight, std::nullopt, Duration::zero());
  } else {
    on_probe_timeout();
    if (log_ != nullptr) log_->on_probe_timeout(now, rtt_, stats_, *controller_);
  }
  arm_loss_alarm(now);
}

void Sender::on_probe_timeout() {
  ++stats_.pto_count;
  ++stats_.total_pto_count;
  probes_pending_ = config_.pto_probes;
  next_clone_ = 0;
  if (!has_data()) {
    const auto in_flight = static_cast<std::int64_t>(stats_.packets_in_flight);
    probes_pending_ = static_cast<std::int32_t>(std::min<std::int64_t>(probes_pending_, in_flight));
  }
}

Duration Sender::probe_timeout() const {
  return rtt_.has_sample() ? rtt_.probe_timeout() : config_.initial_rtt * 2;
}

TimePoint Sender::loss_alarm() const {
  if (stats_.packets_in_flight == 0) return TimePoint::never();
  if (!alarm_known_) {
    constexpr std::uint32_t kMaximumBackoff = 20;  // a million timeouts, beyond any simulation
    const TimePoint deadline =
        loss_time_
            ? *loss_time_
            : last_sent_ + probe_timeout() * (std::int64_t{1} << std::min(stats_.pto_count, kMaximumBackoff));
    alarm_ = alarm_base_ + wheel_timeout(deadline - alarm_base_, config_.loss_timer_tick);
    alarm_known_ = true;
  }
  return alarm_;
}

}  // namespace mvfstrl
