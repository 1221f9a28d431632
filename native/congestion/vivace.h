// PCC Vivace (Dong et al., "PCC Vivace: Online-Learning Congestion Control", NSDI 2018), the variant that
// minds latency. It sends at a rate for a while, says by a utility function how well that went, and follows
// the utility's gradient: of two rates a little above and below its own, tried in random order.
//
// A monitor interval lasts an RTT and begins and ends with an ACK event, so that its packets are told by
// their numbers. Its result is known when all of them are acknowledged or lost, an RTT later; until then the
// sender goes on at its own rate.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "common/rng.h"
#include "congestion/controller.h"
#include "congestion/monitor_interval.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

struct VivaceConfig {
  // Utility of x Mbit/s: x^exponent - latency_factor x dRTT/dt - loss_factor x loss (section 3, equation 1).
  double exponent = 0.9;
  double latency_factor = 900;
  double loss_factor = 11.35;
  double probe_step = 0.05;  // the two rates tried are 1 +- this of the sender's own (section 4.2)
  double conversion = 1.0;   // Mbit/s a unit of utility gradient (section 4.2)
  // The bound of one change, as a fraction of the rate: it starts at the first, and widens by the second with
  // each change in a row that would have exceeded it (section 4.2).
  double change_bound = 0.05;
  double change_bound_step = 0.1;
  // RTT gradients that count for none: below this (section 4.3), and below so many standard errors of their
  // regression (as in "PCC Proteus: Scavenger Transport And Beyond", SIGCOMM 2020, section 5, which asks the
  // same of the regression's residual).
  double gradient_floor = 0.01;
  double gradient_errors = 3.0;
  // Whether an RTT that falls counts for a gain, as in equation 1, or for nothing, as in the authors'
  // programs. Where it does, every short queue that empties makes a lower rate look better than it is.
  bool reward_draining = false;
  // An interval has at least so many packets. mvfst acknowledges every tenth, and a regression needs three
  // samples to know its error.
  std::int64_t interval_packets = 40;
  // Without an interval's result for so many smoothed RTTs after it, the rate is halved (section 4.3).
  double timeout_rtts = 4;
};

class Vivace final : public CongestionController {
 public:
  Vivace(const VivaceConfig& config, const WindowLimits& limits, Rng rng);

  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) override;
  // Twice what the rate puts into a round trip: the rate decides, the window only stops a sender that hears
  // nothing.
  ByteCount congestion_window() const override { return window_; }
  bool wants_pacing() const override { return true; }
  std::string_view phase_name() const override { return starting_ ? "starting" : "probing"; }
  std::optional<Bandwidth> pacing_rate() const override;

  bool starting() const { return starting_; }
  double rate_mbps() const { return rate_; }  // its own, around which it tries
  double utility(double mbps, double rtt_gradient, double loss) const;

 private:
  struct Trial {
    double mbps, utility, gradient, loss;
  };

  void count_acked(const AckEvent& ack);
  void count_lost(const LossEvent& loss);
  MonitorInterval* interval_of(std::uint64_t packet);
  void begin_interval(TimePoint now, std::uint64_t largest_sent);
  void end_interval(TimePoint now, std::uint64_t largest_sent);
  bool due(TimePoint now, std::uint64_t largest_sent, Duration srtt) const;
  void collect_results();
  void on_result(const MonitorInterval& interval);
  void on_starting_result(const Trial& trial);
  void on_pair();
  void change_rate(double gradient);
  void start_trial();
  void on_timeout();
  void set_window(Duration srtt);

  VivaceConfig config_;
  WindowLimits limits_;
  Rng rng_;
  ByteCount window_;
  double rate_ = 0;        // Mbit/s; zero before the first RTT
  double floor_rate_ = 0;  // two packets a round trip
  bool starting_ = true;
  std::optional<double> last_utility_;  // while starting

  // Intervals that are being sent or not settled yet, oldest first. The last one is being sent.
  std::deque<MonitorInterval> intervals_;
  std::deque<double> to_measure_;    // rates of the trial whose intervals have not begun
  std::int64_t results_wanted_ = 0;  // of intervals that are measured
  std::deque<Trial> results_;

  bool checking_ = false;        // this pair is the second look at an odd result,
  double checked_gradient_ = 0;  // which said this
  int direction_ = 0;            // of the last change
  int consecutive_ = 0;          // changes in that direction
  int bound_exceeded_ = 0;       // k of section 4.2
};

}  // namespace mvfstrl
