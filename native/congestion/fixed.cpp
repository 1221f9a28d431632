#include "congestion/fixed.h"

#include <stdexcept>

namespace mvfstrl {

FixedController::FixedController(const FixedConfig& config, const WindowLimits& limits)
    : window_(limits.packet_size * config.window_packets), pacing_(config.pacing) {
  if (config.window_packets < 1) throw std::invalid_argument("window_packets must be at least 1");
}

}  // namespace mvfstrl
