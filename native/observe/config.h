// Every knob of the RL view and its only default. Plain values: they are checked where they are used (the
// constructors of ActionSet, WindowAggregator, ActionHistory and Reward name the offending one).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/units.h"

namespace mvfstrl {

enum class WindowKind {
  kTime,   // a window closes every `window`, with or without events
  kCount,  // a window closes with its `window_events`-th ACK or loss event
};

struct ObservationConfig {
  WindowKind window_kind = WindowKind::kTime;
  Duration window = Duration::from_ms(100);
  int window_events = 10;
  int history = 20;  // past actions shown, each with the window that it left
};

struct ActionConfig {
  // The first entry is "0" (keep). "+N" and "-N" are packets, "*F" and "/F" factors. See action_set.h.
  std::vector<std::string> list = {"0", "/2", "-10", "+10", "*2"};
  int initial_window_packets = 10;
  int min_window_packets = 2;
  int max_window_packets = 2000;
  // Whether packets are spread over the round-trip time instead of leaving as ACKs open the window.
  bool pacing = false;
};

// Rewards: formulas and sources are in reward.h and docs/rewards.md.
struct LogRatioReward {
  double throughput_factor = 1.0;
  double throughput_offset = 1e-5;  // MB/s
  double delay_factor = 0.2;
  double delay_offset = 1e-5;  // ms
  double loss_factor = 0.0;
  double loss_offset = 1e-5;  // MB
  bool use_max_delay = true;  // the window's largest delay, else its mean
};

struct LinearReward {
  double throughput_factor = 0.1;  // per MB/s
  double delay_factor = 0.01;      // per ms
  double loss_factor = 0.0;        // per MB
  bool use_max_delay = true;
};

struct PowerReward {
  double throughput_exponent = 1.0;
  double scale = 1.0;
};

struct AuroraReward {
  double throughput_factor = 10.0;  // per packet/s
  double latency_factor = 1000.0;   // per second
  double loss_factor = 2000.0;      // per unit fraction
  int packet_bytes = 1500;          // Aurora's packet
};

struct LogPowerReward {
  double throughput_factor = 1.0;
  double throughput_offset = 1e-3;  // MB/s
  double rtt_factor = 0.5;
  double loss_factor = 1.0;
};

using RewardConfig = std::variant<LogRatioReward, LinearReward, PowerReward, AuroraReward, LogPowerReward>;

}  // namespace mvfstrl
