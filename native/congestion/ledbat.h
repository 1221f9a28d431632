// LEDBAT, the background transport that gives way to anything else: LEDBAT++
// (draft-irtf-iccrg-ledbat-plus-plus), or RFC 6817 as it was. The queueing delay is the least of the latest
// RTTs above the least of the last minutes, less the ACK delay that the peer reports; RFC 6817 measures one
// way, which QUIC has no timestamps for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "congestion/controller.h"
#include "congestion/window_limits.h"
#include "congestion/windowed_min.h"

namespace mvfstrl {

enum class LedbatFlavour { kLedbatpp, kRfc6817 };

struct LedbatConfig {
  LedbatFlavour flavour = LedbatFlavour::kLedbatpp;
  Duration target = Duration::from_ms(60);            // queueing delay; RFC 6817 allows at most 100 ms
  double gain = 1;                                    // rfc6817: packets a round trip in an empty queue
  double allowed_increase_packets = 1;                // rfc6817: of the window above what was in flight
  Duration base_window = Duration::from_ms(600'000);  // the base delay is the least of this time
  // LEDBAT++: the gain is 1 / min(this, ceil(2 target / base delay)).
  std::int32_t max_gain_divisor = 16;
  double decrease = 1;            // LEDBAT++: windows a round trip, a target's worth of excess delay
  double slow_start_exit = 0.75;  // LEDBAT++: targets of delay that end the first slow start
  std::int32_t slowdown_rtts =
      2;                         // LEDBAT++: until the first slowdown, and how long one stays at two packets
  double slowdown_interval = 9;  // LEDBAT++: slowdowns' lengths from one's end to the next

  void validate() const;  // throws std::invalid_argument naming the bad field
};

class Ledbat final : public CongestionController {
 public:
  enum class State { kSlowStart, kAvoidance, kSlowdown, kRamp };

  Ledbat(const LedbatConfig& config, const WindowLimits& limits);

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override { return ByteCount(static_cast<std::int64_t>(window_)); }

  State state() const { return state_; }

 private:
  bool plus() const { return config_.flavour == LedbatFlavour::kLedbatpp; }
  void on_loss(const LossEvent& loss);
  void on_ack(const AckEvent& ack, const RttStats& rtt);
  void measure(const AckEvent& ack);
  void avoid_rfc6817(const AckEvent& ack);
  void on_ack_plus(const AckEvent& ack, const RttStats& rtt);
  void avoid_plus(const AckEvent& ack);
  void begin_slowdown(TimePoint now, Duration smoothed_rtt);
  double plus_gain() const;
  void set_window(double bytes);

  LedbatConfig config_;
  WindowLimits limits_;
  State state_;
  double window_;                              // bytes, with the fractions that small gains add up
  std::optional<double> ssthresh_;             // LEDBAT++: where a ramp ends
  std::optional<std::uint64_t> recovery_end_;  // the largest packet sent before the window was cut

  WindowedMin base_;
  std::array<Duration, 4> recent_{};  // RFC 6817's CURRENT_FILTER, LEDBAT++'s answer to ACK delays
  std::size_t samples_ = 0;
  Duration queueing_;

  std::optional<TimePoint> next_slowdown_;
  TimePoint slowdown_start_;
  TimePoint frozen_until_;
};

}  // namespace mvfstrl
