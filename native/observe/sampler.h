// Turns ACK and loss events into network-state samples. Keeps what a sample needs of the past: connection
// totals at the previous sample, the standing RTT and the recent ACKs.
#pragma once

#include <cstdint>

#include "common/units.h"
#include "congestion/connection_stats.h"
#include "congestion/controller.h"
#include "congestion/rtt_stats.h"
#include "congestion/windowed_min.h"
#include "observe/delivery_rate.h"
#include "observe/sample.h"

namespace mvfstrl {

class Sampler {
 public:
  // A new connection starts.
  void reset(TimePoint start);

  // The state after an event; at least one of the two is non-null.
  NetworkSample on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                         const ConnectionStats& stats);

  // The state at the close of a window that had no event: throughput 0, and as delay the time since the last
  // ACK (since the start, if none came) beyond the minimum RTT. Counters hold what happened since the
  // previous sample, so a probe timeout during an outage is seen in the window in which it fired.
  NetworkSample idle(TimePoint now, const RttStats& rtt, const ConnectionStats& stats);

  // Time since the last ACK, or since the start while there is none.
  Duration since_last_ack(TimePoint now) const { return now - last_ack_; }

 private:
  // Totals at the previous sample.
  struct Totals {
    ByteCount sent, received, retransmitted;
    std::uint64_t pto = 0, rtx = 0, timeout_rtx = 0;
  };
  void fill_levels(NetworkSample& sample, const RttStats& rtt, const ConnectionStats& stats) const;
  void fill_counters(NetworkSample& sample, const ConnectionStats& stats);

  Totals previous_;
  TimePoint last_ack_;
  WindowedMin standing_rtt_;
  DeliveryRate rate_;
};

}  // namespace mvfstrl
