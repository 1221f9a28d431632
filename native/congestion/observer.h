// What an environment hangs on a connection to see it as a controller does.
#pragma once

#include "common/units.h"
#include "congestion/connection_stats.h"
#include "congestion/controller.h"
#include "congestion/rtt_stats.h"

namespace mvfstrl {

class ConnectionObserver {
 public:
  virtual ~ConnectionObserver() = default;
  // Called once for each ACK or loss event, after the controller has handled it; `stats` is its outcome. At
  // least one of `ack` and `loss` is non-null; both, and the spans in them, are valid during the call only.
  // An ACK that acknowledges nothing new is no event.
  virtual void on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                        const ConnectionStats& stats) = 0;
};

}  // namespace mvfstrl
