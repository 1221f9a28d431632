#include "transport/event_log.h"

#include <string_view>

namespace mvfstrl {

void EventLog::on_packet_sent(const SentPacket& packet, std::uint32_t pto_count) {
  order_.push_back(Kind::kSent);
  sent_.push_back({packet.now, packet.packet_number, packet.size.value(), pto_count > 0});
}

void EventLog::on_ack_frame(TimePoint now, const AckFrame& frame) {
  order_.push_back(Kind::kAck);
  acks_.push_back({now, frame.ack_delay, frame.payload.value(), ranges_.size(), frame.ranges.size()});
  ranges_.insert(ranges_.end(), frame.ranges.begin(), frame.ranges.end());
}

void EventLog::on_event(TimePoint now, const LossEvent* loss, const RttStats& rtt,
                        const ConnectionStats& stats, const CongestionController& controller) {
  if (loss != nullptr) {
    for (const LostPacket& packet : loss->packets) {
      order_.push_back(Kind::kLost);
      lost_.push_back({now, packet.packet_number, packet.size.value()});
    }
  }
  add_metrics(now, rtt, stats, controller);
}

void EventLog::on_probe_timeout(TimePoint now, const RttStats& rtt, const ConnectionStats& stats,
                                const CongestionController& controller) {
  add_metrics(now, rtt, stats, controller);
}

void EventLog::on_action(TimePoint now, std::int64_t action, ByteCount window) {
  order_.push_back(Kind::kAction);
  actions_.push_back({now, action, window.value()});
}

void EventLog::add_metrics(TimePoint now, const RttStats& rtt, const ConnectionStats& stats,
                           const CongestionController& controller) {
  const std::string_view state = controller.phase_name();
  if (!state.empty() && (states_.empty() || states_.back().name != state)) {
    order_.push_back(Kind::kState);
    states_.push_back({now, std::string(state)});
  }
  const auto rate = controller.pacing_rate();
  order_.push_back(Kind::kMetrics);
  metrics_.push_back({.at = now,
                      .min_rtt = rtt.min(),
                      .smoothed_rtt = rtt.smoothed(),
                      .latest_rtt = rtt.latest(),
                      .rtt_variance = rtt.variation(),
                      .congestion_window = controller.congestion_window().value(),
                      .bytes_in_flight = stats.bytes_in_flight.value(),
                      .packets_in_flight = static_cast<std::int64_t>(stats.packets_in_flight),
                      .pto_count = stats.pto_count,
                      .pacing_bps = rate ? rate->bps() : 0.0});
}

}  // namespace mvfstrl
