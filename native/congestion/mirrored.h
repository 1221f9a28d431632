// The window of a controller that lives elsewhere: mvfst's own, which a session only watches.
#pragma once

#include <array>

#include "congestion/controller.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

// mvfst's own controllers. They run inside mvfst alone.
enum class MvfstScheme { kNewReno, kCubic, kCopa, kBbr, kBbr2 };
// What configurations and reports call them, in that order.
inline constexpr std::array kMvfstSchemeNames = {"mvfst_newreno", "mvfst_cubic", "mvfst_copa", "mvfst_bbr",
                                                 "mvfst_bbr2"};

class MirroredController final : public CongestionController {
 public:
  explicit MirroredController(const WindowLimits& limits) : window_(limits.initial()) { limits.validate(); }
  // Whatever it is: the limits are the other's to keep.
  void set_window(ByteCount window) { window_ = window; }

  void on_ack_or_loss(const AckEvent*, const LossEvent*, const RttStats&) override {}
  ByteCount congestion_window() const override { return window_; }

 private:
  ByteCount window_;
};

}  // namespace mvfstrl
