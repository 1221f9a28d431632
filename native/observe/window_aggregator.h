// Collects the samples of one decision window and summarises them: statistics for the observation, raw values
// for the reward.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "congestion/controller.h"
#include "observe/config.h"
#include "observe/sample.h"

namespace mvfstrl {

// A closed window in raw values: all that rewards and reports need.
struct WindowSummary {
  TimePoint start;
  TimePoint end;
  std::uint32_t events = 0;  // ACK or loss events; 0: nothing was heard
  ByteCount acked;
  ByteCount lost;
  Duration max_delay;   // largest (latest RTT - min RTT) at an event; see Sampler::idle without events
  Duration mean_delay;  // mean of the same
  Duration mean_rtt;    // mean latest RTT at the events; without events, time since the last ACK

  bool empty() const { return events == 0; }
  // At least 1 ms, so that a count window filled within one instant has a finite rate.
  Duration length() const { return std::max(end - start, Duration::from_ms(1)); }
  // Acknowledged bytes over the window's length, in bytes/s.
  double throughput() const { return static_cast<double>(acked.value()) / length().to_seconds(); }
  // Lost bytes over lost and acknowledged bytes; 0 if there were neither.
  double loss_fraction() const {
    const std::int64_t total = (acked + lost).value();
    return total == 0 ? 0.0 : static_cast<double>(lost.value()) / static_cast<double>(total);
  }
};

class WindowAggregator {
 public:
  // Throws std::invalid_argument for a window that is not positive.
  explicit WindowAggregator(const ObservationConfig& config);

  void reset(TimePoint start);
  // True when a count window is full.
  bool add(const NetworkSample& sample, const AckEvent* ack, const LossEvent* loss);
  bool empty() const { return open_.events == 0; }
  TimePoint window_end() const { return window_end_; }

  // Closes the open window at `now` and opens the next.
  WindowSummary close(TimePoint now);
  // The same for a window without events, described by one sample of the connection at rest; `silence` is the
  // time since the last ACK.
  WindowSummary close_idle(TimePoint now, const NetworkSample& sample, Duration silence);

  // Of the latest closed window: the no-events flag, then each field's statistics, normalised and clipped.
  // Deviations are sample deviations (over n - 1), zero for one event. Before the first close: the flag
  // alone.
  void write(std::span<float> out) const;
  static constexpr std::size_t size() { return 1 + summary_size(); }

 private:
  using Row = std::array<float, kFieldCount>;
  // Sums are kept about the window's first sample: a constant level then has a deviation of exactly zero.
  struct Accumulator {
    std::uint32_t count = 0;   // samples
    std::uint32_t events = 0;  // samples that are events
    Row first{};
    Row sum{};
    Row square_sum{};
    Row min{};
    Row max{};
    void add(const NetworkSample& sample);
  };

  void open_window(TimePoint start);
  WindowSummary finish(TimePoint now);

  WindowKind kind_;
  Duration window_;
  std::uint32_t window_events_;
  TimePoint start_, window_end_;
  ByteCount acked_, lost_;
  Accumulator open_, closed_;
};

}  // namespace mvfstrl
