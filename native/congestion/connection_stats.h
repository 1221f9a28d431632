// Totals of one connection as its sender counts them, the ones mvfst keeps in its loss state: what an
// observer (native/observe) may see of any connection, simulated or real.
#pragma once

#include <cstdint>

#include "common/units.h"

namespace mvfstrl {

// Byte totals are UDP payload bytes. Every packet ever sent is acknowledged, lost or in flight:
// packets_sent = packets_acked + packets_lost + packets_in_flight, likewise in bytes. A packet that was
// declared lost and is acknowledged later stays in `lost`; it is counted in packets_spuriously_lost besides.
struct ConnectionStats {
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_acked = 0;
  std::uint64_t packets_lost = 0;
  std::uint64_t packets_in_flight = 0;
  std::uint64_t packets_spuriously_lost = 0;
  ByteCount bytes_sent;
  ByteCount bytes_acked;
  ByteCount bytes_lost;
  ByteCount bytes_in_flight;
  // Bytes of the peer's packets that reached this endpoint: its acknowledgements.
  ByteCount bytes_received;
  // Bytes of packets that carried data sent before, after a loss or as a probe.
  ByteCount bytes_retransmitted;

  // Probe timeouts in a row since the last acknowledgement of something new, and over the connection's life.
  std::uint32_t pto_count = 0;
  std::uint64_t total_pto_count = 0;
  // Packets declared lost so far, and packets sent again because a probe timeout fired.
  std::uint64_t rtx_count = 0;
  std::uint64_t timeout_based_rtx_count = 0;
  std::uint64_t persistent_congestion_count = 0;

  // The controller's window, and what it still admits: max(0, window - in flight).
  ByteCount congestion_window;
  ByteCount writable;
};

}  // namespace mvfstrl
