// An episode as a series: for every flow, what it got of the bottleneck, window by window.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "environment/config.h"
#include "environment/simulation.h"
#include "path/link_log.h"

namespace mvfstrl {

// One flow in one window (from, time]. Rates count bytes on the link, overhead included.
struct SeriesPoint {
  std::int64_t flow = 0;
  double time_ms = 0;          // the window's end
  double throughput_mbps = 0;  // left the bottleneck in the window, while the flow was active
  double capacity_mbps = 0;    // what the bottleneck could have carried in the window
  double queue_delay_ms = 0;   // mean time in the queue and on the wire of what left; not a number if nothing
  double window_packets = 0;   // congestion window at the end
  std::int64_t sent_packets = 0;
  std::int64_t lost_packets = 0;  // that the sender declared lost in the window
  double loss = 0;                // the same over those sent, at most 1
  double cross_mbps = 0;          // of the cross traffic, whatever the flow

  // Of observed flows alone.
  std::int64_t action = -1;  // the last that took effect in the window; -1: none
  double reward = std::numeric_limits<double>::quiet_NaN();  // of the observation windows that closed in it
  double rtt_ms = std::numeric_limits<double>::quiet_NaN();  // mean of theirs
  bool skipped = false;  // one of them closed while an answer was outstanding
};

// A series' windows are those of the observation; where these have no length of their own, 100 ms.
Duration series_window(const ObservationConfig& observation);

class SeriesRecorder {
 public:
  // A new episode. The first window ends at `first_end`, each next one `window` later, the last with the
  // episode. `simulation` must not have run yet, and this must outlive it.
  void begin(Simulation& simulation, const std::vector<FlowConfig>& flows, TimePoint first_end,
             Duration window, ByteCount packet_size);

  // When the open window is to be closed.
  TimePoint due() const { return due_; }
  // Closes it, at the simulation's present time.
  void close();
  // An observation window of a flow closed, an action took effect, within the open window.
  void on_observed(std::size_t flow, double reward, Duration rtt, bool skipped);
  void on_action(std::size_t flow, std::int64_t action) { flows_[flow].open.action = action; }

  // After Simulation::finish(), which tells what of the packets on the link still belongs to the last window.
  // Flow by flow, the windows in which it was active.
  std::vector<SeriesPoint> finish();

 private:
  struct Departures {
    Tally total;
    Duration sojourn;
  };
  struct FlowSeries {
    TimePoint start, stop;
    std::vector<SeriesPoint> points;     // a window each
    std::vector<Departures> departures;  // the same
    SeriesPoint open;                    // what is known of the open window
    std::int64_t observed = 0;           // observation windows that closed in it
    std::uint64_t sent = 0, lost = 0;    // in all, at the last close
  };

  TimePoint start_of(std::size_t window) const { return window == 0 ? TimePoint::zero() : ends_[window - 1]; }
  void close_flow(std::size_t flow, double capacity_mbps);
  void absorb_departures();
  std::size_t window_of(TimePoint at) const;
  void complete(SeriesPoint& point, const Departures& departures, Duration length) const;

  Simulation* simulation_ = nullptr;
  Duration window_;
  double packet_bytes_ = 1;
  TimePoint first_end_, due_;
  ByteCount offered_;  // at the last close
  std::vector<TimePoint> ends_;
  std::vector<FlowSeries> flows_;
  std::vector<Departures> cross_;  // cross traffic's, a window each
  LinkLog log_;                    // since the last close
};

}  // namespace mvfstrl
