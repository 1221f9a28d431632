// What happened on one connection, event by event and in order, as a sender sees it: for writing qlog and for
// analysis. Recorded only where asked for (Sender::set_log); the hot path has no test for it of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/units.h"
#include "congestion/connection_stats.h"
#include "congestion/controller.h"
#include "congestion/rtt_stats.h"
#include "transport/ack_frame.h"

namespace mvfstrl {

class EventLog {
 public:
  enum class Kind : std::uint8_t { kSent, kAck, kLost, kMetrics, kState, kAction };

  struct Sent {
    TimePoint at;
    std::uint64_t number = 0;
    std::int64_t bytes = 0;  // UDP payload
    bool probe = false;      // while a probe timeout has gone unanswered
  };
  struct Ack {
    TimePoint at;
    Duration ack_delay;
    std::int64_t bytes = 0;                     // UDP payload
    std::uint64_t first_range = 0, ranges = 0;  // of `ranges()`, in falling packet number
  };
  struct Lost {
    TimePoint at;
    std::uint64_t number = 0;
    std::int64_t bytes = 0;
  };
  struct Metrics {
    TimePoint at;
    Duration min_rtt, smoothed_rtt, latest_rtt, rtt_variance;  // zero without a sample
    std::int64_t congestion_window = 0, bytes_in_flight = 0, packets_in_flight = 0;
    std::int64_t pto_count = 0;
    double pacing_bps = 0;  // zero: the controller names no rate
  };
  struct State {
    TimePoint at;
    std::string name;
  };
  struct Action {
    TimePoint at;
    std::int64_t action = 0;
    std::int64_t congestion_window = 0;  // that it led to
  };

  // ---- from the sender
  void on_packet_sent(const SentPacket& packet, std::uint32_t pto_count);
  void on_ack_frame(TimePoint now, const AckFrame& frame);
  // After controller and statistics have handled it; `loss` may be null.
  void on_event(TimePoint now, const LossEvent* loss, const RttStats& rtt, const ConnectionStats& stats,
                const CongestionController& controller);
  void on_probe_timeout(TimePoint now, const RttStats& rtt, const ConnectionStats& stats,
                        const CongestionController& controller);
  // ---- from who drives a window from outside
  void on_action(TimePoint now, std::int64_t action, ByteCount window);

  // The kind of each event, in order; what it says stands in its kind's list, likewise in order.
  const std::vector<Kind>& order() const { return order_; }
  const std::vector<Sent>& sent() const { return sent_; }
  const std::vector<Ack>& acks() const { return acks_; }
  const std::vector<AckRange>& ranges() const { return ranges_; }
  const std::vector<Lost>& lost() const { return lost_; }
  const std::vector<Metrics>& metrics() const { return metrics_; }
  const std::vector<State>& states() const { return states_; }
  const std::vector<Action>& actions() const { return actions_; }

 private:
  void add_metrics(TimePoint now, const RttStats& rtt, const ConnectionStats& stats,
                   const CongestionController& controller);

  std::vector<Kind> order_;
  std::vector<Sent> sent_;
  std::vector<Ack> acks_;
  std::vector<AckRange> ranges_;
  std::vector<Lost> lost_;
  std::vector<Metrics> metrics_;
  std::vector<State> states_;
  std::vector<Action> actions_;
};

}  // namespace mvfstrl
