// How both ends of a connection are set up beside mvfst's defaults.
#pragma once

#include <quic/state/TransportSettings.h>

#include <chrono>
#include <cstdint>
#include <limits>

namespace mvfstrl {

// What each end lets the other send: it never binds.
inline constexpr std::uint64_t kFlowControl = std::uint64_t{1} << 50U;

inline quic::TransportSettings common_settings() {
  quic::TransportSettings settings;
  settings.advertisedInitialConnectionFlowControlWindow = kFlowControl;
  settings.advertisedInitialUniStreamFlowControlWindow = kFlowControl;
  settings.advertisedInitialBidiLocalStreamFlowControlWindow = kFlowControl;
  settings.advertisedInitialBidiRemoteStreamFlowControlWindow = kFlowControl;
  settings.idleTimeout = std::chrono::seconds(120);  // longer than the longest outage of a scenario...
  settings.maxNumPTOs = std::numeric_limits<std::uint16_t>::max();  // ...however many probes that takes
  return settings;
}

}  // namespace mvfstrl
