// Rewards of one decision window, from raw values (throughput T = WindowSummary::throughput, delay D =
// max_delay or mean_delay, loss L = lost bytes):
//
//   log_ratio  a log(offset + T [MB/s]) - b log(offset + D [ms]) - c log(offset + L [MB])
//              The default. Sivakumar et al., "MVFST-RL: An Asynchronous RL Framework for Congestion Control
//              with Delayed Actions" (2019), and the public mvfst-rl code's defaults.
//   linear     a T [MB/s] - b D [ms] - c L [MB]; the same code's other form.
//   power      scale * T^exponent [MB/s] / R [s], R the mean RTT: Kleinrock's power, in the generalised form
//   of
//              "Power and deterministic rules of thumb for probabilistic problems in computer communications"
//              (ICC 1979).
//   aurora     a T [packets/s] - b R [s] - c (lost / (lost + acked)): Jay et al., "A Deep Reinforcement
//   Learning
//              Perspective on Internet Congestion Control" (ICML 2019).
//   log_power  a log(offset + T [MB/s]) - b log(R [s]) + c log(1 - 0.99 p), p = lost / (lost + acked): the
//              utility of Winstein and Balakrishnan, "TCP ex Machina" (SIGCOMM 2013), section 3.2, and of
//              Copa (NSDI 2018), with a price on loss.
#pragma once

#include <string_view>

#include "observe/config.h"
#include "observe/window_aggregator.h"

namespace mvfstrl {

// The name under which configurations select it: log_ratio, linear, power, aurora, log_power.
std::string_view reward_name(const RewardConfig& config);

// What a reward is the sum of. `power` is a product: all of it counts as throughput.
struct RewardTerms {
  double throughput = 0;
  double delay = 0;
  double loss = 0;

  double sum() const { return throughput + delay + loss; }
  RewardTerms& operator+=(const RewardTerms& other) {
    throughput += other.throughput;
    delay += other.delay;
    loss += other.loss;
    return *this;
  }
};

class Reward {
 public:
  // Throws std::invalid_argument naming a weight that is not finite or an offset that is not positive.
  explicit Reward(const RewardConfig& config);
  RewardTerms terms(const WindowSummary& window) const;
  double of(const WindowSummary& window) const { return terms(window).sum(); }

 private:
  RewardConfig config_;
};

}  // namespace mvfstrl
