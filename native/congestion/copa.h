// Copa (Arun and Balakrishnan, "Copa: Practical Delay-Based Congestion Control for the Internet", NSDI 2018),
// as mvfst runs it (congestion_control/Copa.cpp): the default mode of section 2.1, without the mode that
// competes with loss-based flows (section 2.2). The window moves by `velocity / delta` packets a round trip
// towards the rate of one packet every `delta` queueing delays, which leaves about 1 / delta packets of each
// flow in the queue. Losses change nothing; persistent congestion falls to the minimum.
#pragma once

#include <cstdint>
#include <optional>

#include "congestion/controller.h"
#include "congestion/window_limits.h"
#include "congestion/windowed_min.h"

namespace mvfstrl {

struct CopaConfig {
  double delta = 0.5;  // the paper's (section 2); mvfst's library has 0.05, which its users are to set
  // The queueing delay is the least RTT of the latest round trip above the minimum, not the latest RTT alone
  // (mvfst: copaUseRttStanding).
  bool standing_rtt = false;
  Duration min_rtt_window = Duration::from_ms(10'000);
  double pacing_gain = 2.0;  // windows a smoothed RTT

  void validate() const;  // throws std::invalid_argument naming the bad field
};

class Copa final : public CongestionController {
 public:
  Copa(const CopaConfig& config, const WindowLimits& limits);

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override { return window_; }
  bool wants_pacing() const override { return true; }
  double pacing_gain() const override { return config_.pacing_gain; }

  bool in_slow_start() const { return slow_start_; }
  double velocity() const { return velocity_; }

 private:
  enum class Direction { kNone, kUp, kDown };

  void on_ack(const AckEvent& ack, const RttStats& rtt);
  bool below_target(Duration delay, Duration standing) const;
  void grow(const AckEvent& ack, const RttStats& rtt);
  void shrink(const AckEvent& ack);
  void turn(Direction direction, TimePoint now);
  void check_direction(TimePoint now, Duration smoothed_rtt);
  double step_bytes(const AckEvent& ack) const;

  CopaConfig config_;
  WindowLimits limits_;
  ByteCount window_;
  bool slow_start_ = true;
  std::optional<TimePoint> doubled_at_;
  WindowedMin min_rtt_;
  WindowedMin standing_rtt_;

  // Once a smoothed RTT, the window tells where it is heading.
  double velocity_ = 1;
  Direction direction_ = Direction::kNone;
  std::int32_t rounds_in_direction_ = 0;
  std::optional<TimePoint> recorded_at_;
  ByteCount recorded_window_;
};

}  // namespace mvfstrl
