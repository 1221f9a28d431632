// A connection as a series, window by window from its start, as its sender saw it. The link's side of the
// same is emulator/link_series.h, both together what virtual time has in environment/series.h.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "common/units.h"
#include "congestion/connection_stats.h"

namespace mvfstrl {

// One window (from, to].
struct SessionPoint {
  double window_packets = 0;  // congestion window at the end
  std::int64_t sent_packets = 0;
  std::int64_t lost_packets = 0;                             // that were declared lost in the window
  std::int64_t action = -1;                                  // the last that took effect in it; -1: none
  double reward = std::numeric_limits<double>::quiet_NaN();  // of the observation windows that closed in it
  double rtt_ms = std::numeric_limits<double>::quiet_NaN();  // mean of theirs
  bool skipped = false;  // one of them closed while an answer was outstanding
};

class SessionSeries {
 public:
  SessionSeries(Duration window, ByteCount packet_size);

  void begin(TimePoint start);
  // When the open window is to be closed.
  TimePoint due() const { return due_; }
  // Closes it. `stats` are those of that time, however late the host comes by.
  void close(const ConnectionStats& stats);
  void on_observed(TimePoint at, double reward, Duration rtt, bool skipped);
  // One that takes effect at the very end of a window is the next one's.
  void on_action(TimePoint at, std::int64_t action) {
    window_at(at + Duration::from_ns(1)).point.action = action;
  }

  // The windows that are over.
  std::vector<SessionPoint> points() const;
  Duration window() const { return window_; }

 private:
  struct Window {
    SessionPoint point;
    std::int64_t observed = 0;  // observation windows that closed in it
  };
  Window& window_at(TimePoint at);

  Duration window_;
  double packet_bytes_;
  TimePoint start_, due_ = TimePoint::never();
  std::uint64_t sent_ = 0, lost_ = 0;  // in all, at the last close
  std::size_t closed_ = 0;
  std::vector<Window> windows_;  // those that something is known of
};

}  // namespace mvfstrl
