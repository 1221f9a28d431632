// A window that never changes.
#pragma once

#include <cstdint>

#include "congestion/controller.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

struct FixedConfig {
  std::int64_t window_packets = 10;
  bool pacing = false;  // spread over the round-trip time, where the transport leaves the choice
};

class FixedController final : public CongestionController {
 public:
  // Throws std::invalid_argument where window_packets < 1; other limits do not apply.
  FixedController(const FixedConfig& config, const WindowLimits& limits);

  void on_ack_or_loss(const AckEvent*, const LossEvent*, const RttStats&) override {}
  ByteCount congestion_window() const override { return window_; }
  bool wants_pacing() const override { return pacing_; }

 private:
  ByteCount window_;
  bool pacing_;
};

}  // namespace mvfstrl
