// Sprout-EWMA (Winstein, Sivaraman, Balakrishnan: "Stochastic Forecasts Achieve High Throughput and Low Delay
// over Cellular Networks", NSDI 2013, section 5.3): a moving average of the rate at which packets get through
// stands for the link's rate in the near future, and no more is kept in flight than it carries within 100 ms.
//
// The original observes at the receiver, tick by tick, and sends its forecast back. Here the sender does it
// from ACKs: a tick is closed by the first ACK that comes at least a tick after the one that opened it. The
// original's packets announce when the next will come, so that a link is not blamed for its sender's silence;
// here the send times of acknowledged packets tell.
#pragma once

#include <optional>

#include "congestion/controller.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

struct SproutConfig {
  Duration tick = Duration::from_ms(20);      // section 3.2
  Duration horizon = Duration::from_ms(100);  // section 3.4: five ticks ahead
  // Of the average, a tick. The paper gives no figure; this is RFC 6298's for round-trip times.
  double gain = 0.125;
};

class Sprout final : public CongestionController {
 public:
  Sprout(const SproutConfig& config, const WindowLimits& limits);

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override { return window_; }

  // The forecast: what the link is thought to carry.
  Bandwidth rate() const { return rate_; }

 private:
  bool after_silence(const AckEvent& ack, const RttStats& rtt) const;
  void start_flight(const AckEvent& ack);
  void end_flight();
  void close_tick(TimePoint now);
  void average(Bandwidth observed, double ticks);

  SproutConfig config_;
  WindowLimits limits_;
  Bandwidth rate_;
  ByteCount window_;

  // A flight: ACKs of packets without a silence between them. None before the first ACK.
  std::optional<TimePoint> opened_;  // the tick that is being counted
  bool first_tick_ = true;           // of the flight
  ByteCount opening_;                // acknowledged by the flight's first ACK
  ByteCount counted_;                // acknowledged since `opened_`
  TimePoint last_ack_;
  TimePoint last_sent_;  // of the newest packet acknowledged
};

}  // namespace mvfstrl
