// BBR version 1 as mvfst runs it (congestion_control/Bbr.cpp, BbrBandwidthSampler.cpp, BbrRttSampler.cpp; the
// algorithm is draft-cardwell-iccrg-bbr-congestion-control-00): a model of the path, the largest delivery
// rate of the last rounds and the smallest RTT of the last ten seconds, says how fast to send.
#pragma once

#include <cstdint>
#include <optional>

#include "common/rng.h"
#include "congestion/controller.h"
#include "congestion/limited_packets.h"
#include "congestion/max_filter.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

struct BbrConfig {
  double startup_gain = 2.885;      // of rate and window until the bottleneck is found: 2 / ln 2
  double startup_rtt_factor = 0.5;  // paces Startup over this part of the minimum RTT
  double startup_growth = 1.25;     // of the bandwidth, a round that is not flat
  std::int32_t startup_flat_rounds = 3;
  double window_gain = 2.0;            // of the bandwidth-delay product, outside Startup
  double probe_gain = 1.25;            // first of the eight phases of a probing cycle
  double drain_gain = 0.75;            // second of them; the others have 1
  std::int32_t bandwidth_rounds = 10;  // that the bandwidth is the maximum of
  Duration min_rtt_expiry = Duration::from_ms(10'000);
  Duration probe_rtt = Duration::from_ms(200);
  std::int64_t min_window_packets = 4;  // whatever the transport's minimum

  void validate() const;  // throws std::invalid_argument naming the bad field
};

// The delivery rate: mvfst takes the larger of the rates at which bytes were sent and acknowledged. In bytes
// a microsecond, its samples' own unit.
class BbrBandwidth {
 public:
  explicit BbrBandwidth(std::int32_t rounds) : filter_(static_cast<std::uint64_t>(rounds)) {}

  void on_ack(const AckEvent& ack, std::uint64_t round);
  // From packet `next` on, and until one of these is acknowledged, too little is sent to tell the bandwidth.
  void set_limited(std::uint64_t next) { limited_.mark(next); }
  // Zero until there is a sample.
  double bytes_per_us() const { return filter_.best(); }
  bool limited(const AckedPacket& packet) const {
    return packet.app_limited || limited_.contains(packet.packet_number);
  }

 private:
  MaxFilter<double> filter_;
  LimitedPackets limited_;
};

class Bbr final : public CongestionController {
 public:
  enum class State { kStartup, kDrain, kProbeBw, kProbeRtt };

  Bbr(const BbrConfig& config, const WindowLimits& limits, Rng rng = Rng());

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  ByteCount congestion_window() const override;
  bool wants_pacing() const override { return true; }
  std::optional<Pace> pace(const RttStats& rtt) const override;

  State state() const { return state_; }
  double pacing_gain() const override { return pacing_gain_; }
  Duration min_rtt() const { return min_rtt_; }
  Bandwidth bandwidth() const { return Bandwidth::from_bps(bandwidth_.bytes_per_us() * 8e6); }
  bool in_recovery() const { return recovery_ != Recovery::kNone; }

 private:
  enum class Recovery { kNone, kConservation, kGrowth };

  void on_loss(const LossEvent& loss);
  void on_ack(const AckEvent& ack, bool has_loss);
  void update_min_rtt(const AckEvent& ack);
  bool update_round(const AckEvent& ack);
  void update_recovery(const AckEvent& ack, bool new_round);
  void update_ack_aggregation(const AckEvent& ack);
  void check_startup();
  void enter_drain();
  void enter_probe_bw(TimePoint now);
  void advance_cycle(const AckEvent& ack, bool has_loss);
  double cycle_gain() const;
  void enter_probe_rtt(std::uint64_t next_packet);
  void handle_probe_rtt(const AckEvent& ack, bool new_round);
  void update_window(const AckEvent& ack);
  void update_pacing_window(const AckEvent& ack);
  ByteCount target_window(double gain) const;
  ByteCount bound(ByteCount window) const;
  ByteCount minimum() const { return limits_.packet_size * config_.min_window_packets; }

  BbrConfig config_;
  WindowLimits limits_;
  Rng rng_;
  State state_ = State::kStartup;
  double pacing_gain_;
  double window_gain_;
  ByteCount window_;
  ByteCount pacing_window_;
  ByteCount send_quantum_;
  bool paced_ = false;  // there has been enough to tell a pace

  // The model.
  BbrBandwidth bandwidth_;
  Duration min_rtt_ = Duration::infinite();
  TimePoint min_rtt_time_;
  bool min_rtt_expired_ = false;
  std::uint64_t round_ = 0;
  std::optional<std::uint64_t> round_end_;  // the round ends when a later packet is acknowledged

  // Startup.
  bool bottleneck_found_ = false;
  double startup_bandwidth_ = 0;
  std::int32_t flat_rounds_ = 0;

  // ProbeBw.
  std::uint64_t cycle_phase_ = 0;
  TimePoint cycle_start_;

  // ProbeRtt.
  std::optional<TimePoint> probe_rtt_done_;
  bool probe_rtt_round_done_ = false;

  // Recovery from losses.
  Recovery recovery_ = Recovery::kNone;
  std::uint64_t recovery_end_ = 0;
  ByteCount recovery_window_;

  // How much more than the bandwidth allows has been acknowledged at once.
  std::optional<TimePoint> aggregation_start_;
  ByteCount aggregated_;
  MaxFilter<std::int64_t> ack_height_;
};

}  // namespace mvfstrl
