#include "host/series.h"

#include <algorithm>

namespace mvfstrl {

SessionSeries::SessionSeries(Duration window, ByteCount packet_size)
    : window_(window), packet_bytes_(static_cast<double>(packet_size.value())) {}

void SessionSeries::begin(TimePoint start) {
  start_ = start;
  due_ = start + window_;
}

SessionSeries::Window& SessionSeries::window_at(TimePoint at) {
  const Duration since = std::max(at - start_, Duration::from_ns(1));
  const auto index = static_cast<std::size_t>((since - Duration::from_ns(1)).ns() / window_.ns());
  if (windows_.size() <= index) windows_.resize(index + 1);
  return windows_[index];
}

void SessionSeries::close(const ConnectionStats& stats) {
  SessionPoint& point = window_at(due_).point;
  point.window_packets = static_cast<double>(stats.congestion_window.value()) / packet_bytes_;
  point.sent_packets = static_cast<std::int64_t>(stats.packets_sent - sent_);
  point.lost_packets = static_cast<std::int64_t>(stats.packets_lost - lost_);
  sent_ = stats.packets_sent;
  lost_ = stats.packets_lost;
  due_ += window_;
  ++closed_;
}

void SessionSeries::on_observed(TimePoint at, double reward, Duration rtt, bool skipped) {
  Window& window = window_at(at);
  SessionPoint& point = window.point;
  if (window.observed++ == 0) point.reward = point.rtt_ms = 0;
  point.reward += reward;
  point.rtt_ms += (rtt.to_ms() - point.rtt_ms) / static_cast<double>(window.observed);
  point.skipped |= skipped;
}

std::vector<SessionPoint> SessionSeries::points() const {
  std::vector<SessionPoint> result;
  result.reserve(closed_);
  for (std::size_t i = 0; i < closed_; ++i) result.push_back(windows_[i].point);
  return result;
}

}  // namespace mvfstrl
