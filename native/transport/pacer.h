// Releases a window over a round trip instead of at once, as mvfst's TokenlessPacer does: bursts of a
// computed number of packets at a computed interval (congestion_control/CongestionControlFunctions.cpp,
// calculatePacingRate). A write that comes late is given the packets of the time it was late, within bounds;
// unused packets are not saved.
#pragma once

#include <cstdint>

#include "common/units.h"
#include "transport/config.h"

namespace mvfstrl {

class Pacer {
 public:
  Pacer(const TransportConfig& config, bool enabled);

  bool enabled() const { return enabled_; }
  // A window (gain included) to be spread over `rtt`; before an RTT is known everything leaves at once.
  void set_rate(ByteCount window, Duration rtt);
  // To be asked only when a packet could leave otherwise: an interval that has passed starts a new burst.
  bool may_send(TimePoint now);
  void on_packet_sent() { --budget_; }
  // When may_send(), now false, turns true.
  TimePoint next_release() const;

 private:
  void refill(TimePoint now);

  bool enabled_;
  Duration tick_;
  std::int64_t min_burst_;
  std::int64_t max_late_bursts_;
  std::int64_t minimum_packets_;
  ByteCount packet_size_;
  std::int64_t burst_;
  Duration interval_;  // zero: unpaced
  std::int64_t budget_ = 0;
  bool started_ = false;
  TimePoint last_write_;
  Duration owed_;  // time that rounding a burst up has spent ahead, times the burst
};

}  // namespace mvfstrl
