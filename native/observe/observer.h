// The RL view of one connection: feeds every ACK or loss event into the open window, closes windows, keeps
// the action history and writes observations. No allocation after construction, no clock.
//
//   observer.reset(now, window);
//   on each ACK or loss:  full = observer.on_event(now, ack, loss, rtt, stats);  // full: a count window is
//   complete at window_end() or when full:  WindowSummary w = observer.close_window(now, rtt, stats);
//                                  reward.of(w);  observer.write_observation(row);   // unless skipped
//   when an action takes effect:   observer.on_action(index, new_window);
#pragma once

#include <cstddef>
#include <span>

#include "common/units.h"
#include "congestion/connection_stats.h"
#include "congestion/controller.h"
#include "congestion/rtt_stats.h"
#include "observe/action_history.h"
#include "observe/config.h"
#include "observe/sampler.h"
#include "observe/window_aggregator.h"

namespace mvfstrl {

class Observer {
 public:
  // Throws std::invalid_argument naming a bad entry of either config.
  Observer(const ObservationConfig& observation, std::size_t num_actions);

  // A new connection starts: forgets everything, opens the first window at `start` and fills the history with
  // action 0 at `initial_window`.
  void reset(TimePoint start, ByteCount initial_window);

  // Samples the state after an ACK or loss event, as ConnectionObserver::on_event hands it over. True when a
  // count window is full.
  bool on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                const ConnectionStats& stats);

  // When the open window is due: `never()` for count windows, which close when on_event says so.
  TimePoint window_end() const { return aggregator_.window_end(); }

  // Closes the open window and opens the next at `now`. A window without events is summarised by one sample
  // of the connection as it stands (see Sampler::idle).
  WindowSummary close_window(TimePoint now, const RttStats& rtt, const ConnectionStats& stats);

  // An action took effect and left the congestion window at `window`.
  void on_action(std::size_t action, ByteCount window) { history_.push(action, window); }

  // The observation of the latest closed window, with the history as it is now. out.size() == size().
  void write_observation(std::span<float> out) const;

  std::size_t size() const { return aggregator_.size() + history_.size(); }

 private:
  Sampler sampler_;
  WindowAggregator aggregator_;
  ActionHistory history_;
};

}  // namespace mvfstrl
