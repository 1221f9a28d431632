// TCP Vegas (Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on a Global Internet", IEEE
// JSAC 13(8), 1995, section III), with Linux's parameters. Once a round trip it compares the rate that an
// empty path would give, window / base RTT, with that of the round, window / RTT: their difference times the
// base RTT is how many packets the flow keeps in the queue, and is held between alpha and beta.
#pragma once

#include <cstdint>
#include <optional>

#include "congestion/controller.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

struct VegasConfig {
  double alpha_packets = 2;  // fewer in the queue: a packet more a round trip
  double beta_packets = 4;   // more: a packet less
  double gamma_packets = 1;  // more than these end slow start
  double loss_factor = 0.5;  // what a loss leaves of the window: Reno's, as in Linux

  void validate() const;  // throws std::invalid_argument naming the bad field
};

class Vegas final : public CongestionController {
 public:
  Vegas(const VegasConfig& config, const WindowLimits& limits);

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override { return window_; }

  bool in_slow_start() const { return slow_start_; }

 private:
  void on_loss(const LossEvent& loss);
  void on_ack(const AckEvent& ack);
  void on_round(const AckEvent& ack);
  void leave_slow_start();

  VegasConfig config_;
  WindowLimits limits_;
  ByteCount window_;
  bool slow_start_ = true;
  bool doubling_ = true;                       // in this round of slow start
  std::optional<std::uint64_t> recovery_end_;  // the largest packet sent before the window was cut
  std::optional<Duration> base_rtt_;
  std::optional<Duration> round_rtt_;       // the least of this round
  std::optional<std::uint64_t> round_end_;  // an ACK of a packet sent after this one ends the round
};

}  // namespace mvfstrl
