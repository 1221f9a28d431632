// CUBIC, as mvfst runs it (congestion_control/QuicCubic.cpp: HyStart by delay increase, its own recovery and
// time arithmetic) or as RFC 9438 writes it (slow start until loss or ssthresh, K from the window after the
// cut, target clamped to 1.5 windows, the Reno-friendly region's alpha back to 1 past the previous maximum).
#pragma once

#include <cstdint>
#include <optional>

#include "congestion/controller.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

enum class CubicFlavour { kMvfst, kRfc9438 };

// Defaults are mvfst's (QuicConstants.h).
struct CubicConfig {
  CubicFlavour flavour = CubicFlavour::kMvfst;
  double c = 0.4;     // packets a second cubed
  double beta = 0.7;  // what a loss leaves of the window
  double last_max_factor =
      0.85;  // what it leaves of the maximum when that was not reached again (fast convergence)
  bool tcp_friendly = true;               // never below what Reno would have
  bool hystart = true;                    // leave slow start when a round's RTT has risen
  std::int32_t hystart_samples = 8;       // ACKs a round that sample the RTT
  std::int64_t hystart_low_packets = 16;  // no exit below this window
  Duration hystart_delay_low = Duration::from_ms(4);
  Duration hystart_delay_high = Duration::from_ms(16);
  // mvfst paces faster than the window while it grows and recovers.
  double hystart_pacing_gain = 2.0;
  double recovery_pacing_gain = 1.25;

  void validate() const;  // throws std::invalid_argument naming the bad field
};

class Cubic final : public CongestionController {
 public:
  enum class State { kHystart, kSteady, kRecovery };

  Cubic(const CubicConfig& config, const WindowLimits& limits);

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  void set_app_idle(bool idle, TimePoint now) override;
  ByteCount congestion_window() const override { return window_; }
  double pacing_gain() const override;

  std::string_view phase_name() const override {
    constexpr std::string_view kNames[] = {"slow_start", "congestion_avoidance", "recovery"};
    return kNames[static_cast<int>(state_)];
  }
  State state() const { return state_; }
  // None until something has ended slow start.
  std::optional<ByteCount> ssthresh() const { return ssthresh_; }

 private:
  void on_loss(const LossEvent& loss);
  void reduce(const LossEvent& loss);
  void on_persistent_congestion();
  void on_ack(const AckEvent& ack, const RttStats& rtt);
  void on_ack_in_slow_start(const AckEvent& ack, const RttStats& rtt);
  void start_round(const AckEvent& ack);
  bool delay_has_increased(const RttStats& rtt);
  void leave_slow_start();
  void begin_curve_at_origin(TimePoint now);
  void update_time_to_origin();
  ByteCount cubic_window(TimePoint now) const;
  void on_ack_in_steady(const AckEvent& ack);
  void grow_rfc9438(const AckEvent& ack, const RttStats& rtt);

  CubicConfig config_;
  WindowLimits limits_;
  State state_ = State::kHystart;
  ByteCount window_;
  std::optional<ByteCount> ssthresh_;
  std::optional<std::uint64_t> recovery_end_;  // the largest packet sent before the window was cut
  std::optional<TimePoint> idle_since_;

  // The cubic curve: W(t) = C (t - K)^3 + W_max, t from the last reduction.
  std::optional<ByteCount> last_max_;
  std::optional<ByteCount> origin_;  // the maximum that time_to_origin_ms_ was computed for
  std::optional<TimePoint> last_reduction_;
  double time_to_origin_ms_ = 0;
  ByteCount reno_estimate_;     // the window that Reno would have
  ByteCount prior_window_;      // the window before the last cut
  double growth_fraction_ = 0;  // RFC 9438: growth not yet whole bytes, of the window and of the estimate
  double reno_fraction_ = 0;

  struct Round {
    bool active = false;
    bool exit_found = false;
    std::uint64_t end = 0;  // an ACK of a packet sent after this one ends the round
    std::int32_t samples = 0;
    std::optional<Duration> current, last;  // least RTT of this round so far, and of the round before
  } round_;
};

}  // namespace mvfstrl
