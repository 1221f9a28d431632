#include "environment/series.h"

#include <algorithm>

namespace mvfstrl {

Duration series_window(const ObservationConfig& observation) {
  return observation.window_kind == WindowKind::kTime ? observation.window : Duration::from_ms(100);
}

void SeriesRecorder::begin(Simulation& simulation, const std::vector<FlowConfig>& flows, TimePoint first_end,
                           Duration window, ByteCount packet_size) {
  simulation_ = &simulation;
  window_ = window;
  packet_bytes_ = static_cast<double>(packet_size.value());
  first_end_ = due_ = first_end;
  offered_ = ByteCount::zero();
  ends_.clear();
  flows_.clear();
  cross_.clear();
  for (const FlowConfig& flow : flows) {
    FlowSeries series;
    series.start = TimePoint::zero() + flow.start;
    series.stop = flow.stop ? TimePoint::zero() + *flow.stop : TimePoint::never();
    flows_.push_back(std::move(series));
  }
  log_.clear();
  simulation.record(log_);
}

void SeriesRecorder::on_observed(std::size_t flow, double reward, Duration rtt, bool skipped) {
  FlowSeries& series = flows_[flow];
  if (series.observed++ == 0) series.open.reward = series.open.rtt_ms = 0;
  series.open.reward += reward;
  series.open.rtt_ms += rtt.to_ms();
  series.open.skipped |= skipped;
}

void SeriesRecorder::close() {
  const TimePoint now = simulation_->now();
  const ByteCount offered = simulation_->offered_bytes();
  const Duration length = now - start_of(ends_.size());
  const double capacity = Bandwidth::from_bytes_over(offered - offered_, length).to_mbps();
  ends_.push_back(now);
  for (std::size_t i = 0; i < flows_.size(); ++i) close_flow(i, capacity);
  offered_ = offered;
  due_ = now < due_ ? TimePoint::never() : due_ + window_;
  absorb_departures();
}

void SeriesRecorder::close_flow(std::size_t index, double capacity_mbps) {
  FlowSeries& series = flows_[index];
  const ConnectionStats& stats = simulation_->sender(index).stats();
  SeriesPoint point = series.open;
  point.flow = static_cast<std::int64_t>(index);
  point.time_ms = ends_.back().to_ms();
  point.capacity_mbps = capacity_mbps;
  point.window_packets = static_cast<double>(stats.congestion_window.value()) / packet_bytes_;
  point.sent_packets = static_cast<std::int64_t>(stats.packets_sent - series.sent);
  point.lost_packets = static_cast<std::int64_t>(stats.packets_lost - series.lost);
  if (series.observed > 0) point.rtt_ms /= static_cast<double>(series.observed);
  series.points.push_back(point);
  series.sent = stats.packets_sent;
  series.lost = stats.packets_lost;
  series.open = SeriesPoint{};
  series.observed = 0;
}

// The link is worked off lazily: a departure may be told of after its window was closed.
void SeriesRecorder::absorb_departures() {
  for (const LinkEvent& event : log_) {
    if (event.kind != LinkEvent::Kind::kDeparture) continue;
    const bool cross = event.flow >= flows_.size();
    if (!cross && event.at > flows_[event.flow].stop) continue;
    auto& windows = cross ? cross_ : flows_[event.flow].departures;
    const std::size_t window = window_of(event.at);
    if (windows.size() <= window) windows.resize(window + 1);
    windows[window].total.add(event.size_bytes);
    windows[window].sojourn += event.at - event.entered;
  }
  log_.clear();
}

std::size_t SeriesRecorder::window_of(TimePoint at) const {
  if (at <= first_end_) return 0;
  return 1 + static_cast<std::size_t>((at - first_end_ - Duration::from_ns(1)).ns() / window_.ns());
}

void SeriesRecorder::complete(SeriesPoint& point, const Departures& departures, Duration length) const {
  const auto packets = departures.total.packets;
  point.throughput_mbps = Bandwidth::from_bytes_over(ByteCount(departures.total.bytes), length).to_mbps();
  point.queue_delay_ms = packets > 0 ? departures.sojourn.to_ms() / static_cast<double>(packets)
                                     : std::numeric_limits<double>::quiet_NaN();
  if (point.lost_packets > 0) {
    point.loss = static_cast<double>(point.lost_packets) /
                 static_cast<double>(std::max(point.sent_packets, point.lost_packets));
  }
}

std::vector<SeriesPoint> SeriesRecorder::finish() {
  const TimePoint end = simulation_->now();
  std::erase_if(log_, [end](const LinkEvent& event) { return event.at > end; });
  absorb_departures();
  if (end > start_of(ends_.size())) close();
  std::vector<SeriesPoint> result;
  cross_.resize(ends_.size());
  for (FlowSeries& series : flows_) {
    series.departures.resize(ends_.size());
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      if (series.start >= ends_[i] || series.stop <= start_of(i)) continue;
      const Duration length = ends_[i] - start_of(i);
      complete(series.points[i], series.departures[i], length);
      series.points[i].cross_mbps =
          Bandwidth::from_bytes_over(ByteCount(cross_[i].total.bytes), length).to_mbps();
      result.push_back(series.points[i]);
    }
  }
  return result;
}

}  // namespace mvfstrl
