// A window that a policy sets, with a classic controller behind it: what every host of a policy hands to its
// transport. The host asks the policy, and tells decide() what came of it; meanwhile the transport drives
// this as any other controller.
//
// The fall-back begins as a connection would whose initial window is the present one, in whole packets and
// within `fallback_limits`; it knows nothing of what came before. When the policy comes back, its first
// decision starts from the window that the fall-back had.
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "common/rng.h"
#include "congestion/controller.h"
#include "congestion/factory.h"
#include "congestion/window_limits.h"
#include "policy/guard.h"

namespace mvfstrl {

class GuardedController final : public CongestionController {
 public:
  // `limits` bound the policy's window, `fallback_limits` the classic controller's; `rng` is for controllers
  // that draw lots. Throws std::invalid_argument naming the bad field.
  GuardedController(const GuardConfig& config, const WindowLimits& limits, const ExternalConfig& external,
                    const WindowLimits& fallback_limits, Rng rng = Rng());
  GuardedController(const GuardedController&) = delete;
  GuardedController& operator=(const GuardedController&) = delete;

  // The policy's answer to one observation, or that there is none: who drives now. Unless the fall-back does,
  // the window is the decision's.
  Driver decide(TimePoint now, const Decision& decision);
  const Guard& guard() const { return guard_; }
  void set_log(GuardLog* log) { guard_.set_log(log); }

  void on_packet_sent(const SentPacket& packet) override;
  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override;
  std::string_view phase_name() const override;
  void set_app_idle(bool idle, TimePoint now) override;
  // Asked once, so they hold for both drivers.
  bool wants_packet_sent() const override { return fallback_->wants_packet_sent(); }
  bool wants_pacing() const override { return policy_.wants_pacing() || fallback_->wants_pacing(); }
  double pacing_gain() const override;
  std::optional<Bandwidth> pacing_rate() const override;
  // A policy whose packets are not to be paced has a pace over no time: all at once.
  std::optional<Pace> pace(const RttStats& rtt) const override;

 private:
  bool falling_back() const { return guard_.driver() == Driver::kFallback; }
  void start_fallback(const WindowLimits& limits);

  ControllerConfig config_;
  WindowLimits fallback_limits_;
  Rng rng_;
  Guard guard_;
  ExternalController policy_;
  // Built in place when it begins; before that, one that has seen nothing stands ready to say what it wants.
  std::variant<std::monostate, NewReno, Cubic, FixedController, Copa, Sprout, Bbr, Vivace, Vegas, Ledbat,
               Bbr3>
      storage_;
  CongestionController* fallback_ = nullptr;  // in `storage_`
};

}  // namespace mvfstrl
