#include "mvfst/settings.h"

#include <quic/QuicConstants.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "congestion/copa.h"

namespace mvfstrl {
namespace {

// What each end lets the other send: it never binds.
constexpr std::uint64_t kFlowControl = std::uint64_t{1} << 50U;
constexpr std::chrono::microseconds kPacingTick{200};  // as the real runs that virtual time mirrors had it
constexpr std::uint64_t kOffloadBurst = 44;            // packets a system call and a turn of the loop

quic::CongestionControlType type_of(MvfstScheme scheme) {
  switch (scheme) {
    case MvfstScheme::kNewReno:
      return quic::CongestionControlType::NewReno;
    case MvfstScheme::kCubic:
      return quic::CongestionControlType::Cubic;
    case MvfstScheme::kCopa:
      return quic::CongestionControlType::Copa;
    case MvfstScheme::kBbr:
      return quic::CongestionControlType::BBR;
    case MvfstScheme::kBbr2:
      return quic::CongestionControlType::BBR2;
  }
  return quic::CongestionControlType::None;
}

// As our own of these names want it.
bool paces(MvfstScheme scheme) { return scheme != MvfstScheme::kNewReno && scheme != MvfstScheme::kCubic; }

}  // namespace

quic::TransportSettings common_settings() {
  quic::TransportSettings settings;
  settings.advertisedInitialConnectionFlowControlWindow = kFlowControl;
  settings.advertisedInitialUniStreamFlowControlWindow = kFlowControl;
  settings.advertisedInitialBidiLocalStreamFlowControlWindow = kFlowControl;
  settings.advertisedInitialBidiRemoteStreamFlowControlWindow = kFlowControl;
  settings.idleTimeout = std::chrono::seconds(120);  // longer than the longest outage of a scenario...
  settings.maxNumPTOs = std::numeric_limits<std::uint16_t>::max();  // ...however many probes that takes
  return settings;
}

quic::TransportSettings sender_settings(const SenderOptions& options, bool wants_pacing) {
  quic::TransportSettings settings = common_settings();
  settings.pacingEnabled = options.pacing.value_or(options.scheme ? paces(*options.scheme) : wants_pacing);
  settings.pacingTickInterval = kPacingTick;
  settings.defaultCongestionController =
      options.scheme ? type_of(*options.scheme) : quic::CongestionControlType::Custom;
  settings.initCwndInMss = static_cast<std::uint64_t>(options.window.initial_packets);
  settings.minCwndInMss = static_cast<std::uint64_t>(options.window.minimum_packets);
  settings.maxCwndInMss = static_cast<std::uint64_t>(options.window.maximum_packets);
  settings.copaDeltaParam = CopaConfig{}.delta;  // ours, to compare: mvfst's own default is 0.05
  settings.connectUDP = true;
  if (options.segmentation_offload) {
    settings.batchingMode = quic::QuicBatchingMode::BATCHING_MODE_GSO;
    settings.maxBatchSize = kOffloadBurst;
    settings.writeConnectionDataPacketsLimit = kOffloadBurst;
  }
  return settings;
}

void check_packet_size(ByteCount size) {
  // RFC 9000, 14.1, and the largest that mvfst's receivers take.
  const ByteCount least(quic::kMinInitialPacketSize), most(quic::kDefaultMaxUDPPayload);
  if (size >= least && size <= most) return;
  throw std::invalid_argument("transport.window.packet_size_bytes: " + std::to_string(size.value()) +
                              ": mvfst's packets have " + std::to_string(least.value()) + " to " +
                              std::to_string(most.value()) + " bytes");
}

}  // namespace mvfstrl
