// BBR version 3 (draft-ietf-ccwg-bbr; section titles are named where the code follows one): beside the
// largest delivery rate and the smallest RTT, the model keeps bounds on rate and on data in flight that
// losses teach it, long-term ones from its probes for bandwidth and short-term ones from any other round with
// losses. ECN and the undoing of a recovery that proves spurious are left out.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "common/rng.h"
#include "congestion/controller.h"
#include "congestion/limited_packets.h"
#include "congestion/max_filter.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

struct Bbr3Config {
  double startup_pacing_gain = 2.77;
  double startup_growth = 1.25;  // of the delivery rate, a round that is not flat
  std::int32_t startup_flat_rounds = 3;
  std::int32_t startup_loss_ranges = 6;  // separate losses a round that, at the loss threshold, end Startup
  double drain_pacing_gain = 0.5;
  double window_gain = 2.0;  // bandwidth-delay products in flight
  double up_pacing_gain = 1.25;
  double up_window_gain = 2.25;
  double down_pacing_gain = 0.9;
  double loss_threshold = 0.02;  // of a round's data, tolerated while probing
  double beta = 0.7;             // the bounds keep at least this part of themselves
  double headroom = 0.15;        // of the long-term bound, left to others
  double pacing_margin = 0.01;   // paced this much below the bandwidth
  Duration min_rtt_expiry = Duration::from_ms(10'000);
  Duration probe_rtt_interval = Duration::from_ms(5'000);
  Duration probe_rtt = Duration::from_ms(200);
  double probe_rtt_window_gain = 0.5;
  Duration probe_wait_low = Duration::from_ms(2'000);   // between probes for bandwidth: drawn from here
  Duration probe_wait_high = Duration::from_ms(3'000);  // to here
  std::int64_t reno_rounds = 63;  // probes come at least so often, as they would to Reno
  std::int32_t extra_acked_rounds = 10;
  std::int64_t min_window_packets = 4;

  void validate() const;  // throws std::invalid_argument naming the bad field
};

class Bbr3 final : public CongestionController {
 public:
  enum class State { kStartup, kDrain, kDown, kCruise, kRefill, kUp, kProbeRtt };

  Bbr3(const Bbr3Config& config, const WindowLimits& limits, Rng rng = Rng());

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override { return window_; }
  bool wants_pacing() const override { return true; }
  std::optional<Bandwidth> pacing_rate() const override;
  std::optional<Pace> pace(const RttStats& rtt) const override;
  void set_app_idle(bool idle, TimePoint now) override;

  State state() const { return state_; }
  Bandwidth bandwidth() const { return Bandwidth::from_bps(bandwidth_ * 8); }
  Duration min_rtt() const { return min_rtt_; }
  std::optional<ByteCount> inflight_long_term() const;
  std::optional<ByteCount> inflight_short_term() const;

 private:
  // Bytes and bytes a second are doubles here: most are products of gains.
  static constexpr double kInfinity = 1e300;
  enum class AckPhase { kInit, kRefilling, kProbeStarting, kProbeFeedback, kProbeStopping };

  // The draft's RS: what the newest packet of an ACK tells.
  struct Sample {
    double rate = 0;  // bytes a second; zero: not reliable
    double delivered = 0;
    double prior_delivered = 0;
    double newly_acked = 0;
    double tx_in_flight = 0;  // when the packet was sent, it included
    double lost = 0;          // since then
    bool app_limited = false;
  };

  // bbr3.cpp: events and control parameters
  void on_loss(const LossEvent& loss);
  void on_ack(const AckEvent& ack);
  void update_control(const AckEvent& ack);
  void set_pacing_rate(double gain);
  void update_window(const AckEvent& ack);
  void bound_window_for_model();
  void save_window();
  void restore_window() { window_ = std::max(window_, prior_window_); }
  double bdp_multiple(double gain) const { return bdp_multiple(bandwidth_, gain); }
  double bdp_multiple(double bandwidth, double gain) const;
  double with_quantization(double in_flight) const;
  double inflight(double bandwidth, double gain) const;
  double target_inflight() const { return std::min(bdp_multiple(1.0), bytes(window_)); }
  double minimum() const { return packet_ * static_cast<double>(config_.min_window_packets); }

  // bbr3_model.cpp: the model of the path
  Sample sample_of(const AckEvent& ack);
  void update_latest_delivery(const AckEvent& ack);
  void update_congestion_signals(const AckEvent& ack);
  void update_round(const AckEvent& ack);
  void update_max_bandwidth();
  void adapt_lower_bounds();
  void update_ack_aggregation(const AckEvent& ack);
  void advance_latest_delivery();
  void reset_congestion_signals();
  void reset_short_term_model();
  void note_loss(const LossEvent& loss);
  void handle_lost_packet(const LostPacket& packet, double lost_before, TimePoint now);
  bool inflight_too_high() const { return sample_.lost > sample_.tx_in_flight * config_.loss_threshold; }
  void handle_inflight_too_high(TimePoint now);
  double inflight_with_headroom() const;
  void update_min_rtt(const AckEvent& ack);
  double max_bandwidth() const { return std::max(max_bandwidth_[0], max_bandwidth_[1]); }

  // bbr3_startup.cpp: Startup, Drain, ProbeRTT
  void enter(State state, double pacing_gain, double window_gain);
  void reset_full_bandwidth();
  void check_full_bandwidth();
  void check_startup_done();
  bool startup_loses_too_much() const;
  void check_drain_done(const AckEvent& ack);
  void check_probe_rtt(const AckEvent& ack);
  void handle_probe_rtt(const AckEvent& ack);
  void check_probe_rtt_done(TimePoint now);
  double probe_rtt_window() const;

  // bbr3_probe_bw.cpp
  bool probing_bandwidth() const {  // and so not to slow down for a loss
    return state_ == State::kStartup || state_ == State::kRefill || state_ == State::kUp;
  }
  bool in_probe_bw() const {
    return state_ == State::kDown || state_ == State::kCruise || state_ == State::kRefill ||
           state_ == State::kUp;
  }
  void start_down(TimePoint now);
  void start_cruise();
  void start_refill();
  void start_up();
  void update_probe_bw(const AckEvent& ack);
  bool time_to_probe(TimePoint now);
  bool time_to_cruise(const AckEvent& ack) const;
  bool time_to_go_down(const AckEvent& ack);
  bool adapt_long_term_model(const AckEvent& ack);
  void raise_long_term_slope();
  void probe_long_term_upward();
  void start_round() { next_round_delivered_ = delivered_; }

  static double bytes(ByteCount b) { return static_cast<double>(b.value()); }
  static ByteCount whole(double b) { return ByteCount(static_cast<std::int64_t>(b)); }

  Bbr3Config config_;
  WindowLimits limits_;
  Rng rng_;
  double packet_;
  State state_ = State::kStartup;
  double pacing_gain_;
  double window_gain_;
  ByteCount window_;
  ByteCount prior_window_;
  double pacing_rate_ = 0;  // bytes a second; zero: none yet
  double send_quantum_ = 0;
  bool window_limited_ = false;  // what was in flight before this event filled the window

  // The connection, as of the event at hand.
  Sample sample_;
  double delivered_ = 0;
  bool recovering_ = false;
  std::uint64_t recovery_end_ = 0;
  bool was_recovering_ = false;  // before the ACK at hand
  bool idle_restart_ = false;
  LimitedPackets limited_;

  // Rounds.
  double next_round_delivered_ = 0;
  bool round_start_ = false;
  std::uint64_t round_ = 0;

  // Model: rate, RTT, volume.
  std::array<double, 2> max_bandwidth_{};  // of the previous cycle and of this one
  double bandwidth_ = 0;
  double bandwidth_short_ = kInfinity;
  double inflight_short_ = kInfinity;
  double inflight_long_ = kInfinity;
  Duration min_rtt_ = Duration::infinite();
  TimePoint min_rtt_time_;
  Duration probe_rtt_min_ = Duration::infinite();
  TimePoint probe_rtt_min_time_;
  bool probe_rtt_expired_ = false;
  MaxFilter<double> extra_acked_;
  std::optional<TimePoint> extra_acked_start_;
  double extra_acked_delivered_ = 0;

  // Losses and what was delivered in the round at hand.
  double bandwidth_latest_ = 0;
  double inflight_latest_ = 0;
  double loss_round_delivered_ = 0;
  bool loss_round_start_ = false;
  bool loss_in_round_ = false;
  std::int32_t loss_ranges_in_round_ = 0;
  std::optional<std::uint64_t> last_lost_;

  // Startup and Drain.
  double full_bandwidth_ = 0;
  std::int32_t full_bandwidth_rounds_ = 0;
  bool full_bandwidth_now_ = false;
  bool full_bandwidth_reached_ = false;
  std::uint64_t drain_start_round_ = 0;

  // ProbeBW.
  AckPhase ack_phase_ = AckPhase::kInit;
  bool probe_sample_ = false;  // ACKs tell of a probe
  bool previous_probe_too_high_ = false;
  bool previous_probe_precautionary_ = false;
  TimePoint cycle_start_;
  Duration probe_wait_;
  std::int64_t rounds_since_probe_ = 0;
  std::int32_t up_rounds_ = 0;
  double up_acked_ = 0;
  double up_acked_per_packet_ = kInfinity;

  // ProbeRTT.
  std::optional<TimePoint> probe_rtt_done_;
  bool probe_rtt_round_done_ = false;
};

}  // namespace mvfstrl
