// A window set from outside: by an agent's actions, real or random.
#pragma once

#include "congestion/controller.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

struct ExternalConfig {
  bool pacing = false;  // the window is spread over the round-trip time
};

class ExternalController final : public CongestionController {
 public:
  explicit ExternalController(const WindowLimits& limits, const ExternalConfig& config = {});
  // Takes effect at once; bounded by the limits.
  void set_window(ByteCount window) { window_ = limits_.bound(window); }

  void on_ack_or_loss(const AckEvent*, const LossEvent*, const RttStats&) override {}
  ByteCount congestion_window() const override { return window_; }
  bool wants_pacing() const override { return pacing_; }

 private:
  WindowLimits limits_;
  ByteCount window_;
  bool pacing_;
};

}  // namespace mvfstrl
