// NewReno, as mvfst runs it (congestion_control/NewReno.cpp) or as RFC 9002 section 7 and appendix B write
// it.
#pragma once

#include <cstdint>
#include <optional>

#include "congestion/controller.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

enum class NewRenoFlavour { kMvfst, kRfc9002 };

struct NewRenoConfig {
  NewRenoFlavour flavour = NewRenoFlavour::kMvfst;
  // mvfst only: the segment that congestion avoidance adds a window, the library's default send size whatever
  // the connection's own (QuicConstants.h, kDefaultUDPSendPacketLen).
  ByteCount additive_increase{1232};
};

class NewReno final : public CongestionController {
 public:
  NewReno(const NewRenoConfig& config, const WindowLimits& limits);

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override { return window_; }
  std::string_view phase_name() const override {
    return in_slow_start() ? "slow_start" : "congestion_avoidance";
  }

  bool in_slow_start() const { return window_ < ssthresh_; }
  ByteCount ssthresh() const { return ssthresh_; }

 private:
  void on_loss(const LossEvent& loss);
  void on_ack(const AckEvent& ack);
  void on_packet_acked(const AckedPacket& packet);
  bool in_recovery(std::uint64_t packet_number) const {
    return recovery_end_.has_value() && packet_number <= *recovery_end_;
  }

  NewRenoConfig config_;
  WindowLimits limits_;
  ByteCount window_;
  ByteCount ssthresh_;
  std::optional<std::uint64_t> recovery_end_;  // the largest packet sent before the window was cut
};

}  // namespace mvfstrl
