// Releases a window over a round trip instead of at once, as mvfst's TokenlessPacer: bursts of a computed
// number of packets at a computed interval (congestion_control/CongestionControlFunctions.cpp,
// calculatePacingRate); a late write is given the packets of the time it was late, up to ten bursts.
#pragma once

#include <cstdint>

#include "common/units.h"
#include "transport/config.h"

namespace mvfstrl {

class Pacer {
 public:
  explicit Pacer(const TransportConfig& config);

  // A window (gain included) to be spread over `rtt`; without an RTT everything leaves at once.
  void set_rate(ByteCount window, Duration rtt);
  bool enabled() const { return enabled_; }
  // Packets that may leave now; asks anew when the interval has passed.
  bool may_send(TimePoint now);
  void on_packet_sent() { --budget_; }
  // When may_send() turns true, the budget being spent.
  TimePoint next_release() const;

 private:
  void refill(TimePoint now);

  bool enabled_;
  Duration tick_;
  std::int64_t min_burst_;
  ByteCount packet_size_;
  std::int64_t minimum_packets_;
  std::int64_t burst_;
  Duration interval_;  // zero: unpaced
  std::int64_t budget_ = 0;
  bool started_ = false;
  TimePoint last_write_;
  Duration owed_;  // packet-intervals sent ahead by rounding up
};

}  // namespace mvfstrl
