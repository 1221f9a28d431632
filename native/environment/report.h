// What is said of a finished episode.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "environment/cross_traffic.h"
#include "environment/flow.h"
#include "environment/series.h"
#include "environment/value.h"
#include "observe/reward.h"
#include "policy/guard.h"

namespace mvfstrl {

// What the guard beside a flow's policy did.
struct GuardReport {
  GuardCounters counters;
  double fallback_share = 0;       // of the flow's active time
  std::vector<GuardEvent> events;  // every change of driver
};

// Rates count bytes on the link, overhead included, as Pantheon and mahimahi's logs do. Delays are those of
// delivered data packets, percentiles within DelayHistogram's resolution; zero where nothing was delivered.
struct FlowReport {
  std::int32_t flow = 0;
  std::string scheme;
  double throughput_mbps = 0;  // what left the bottleneck over the flow's active time
  double utilisation = 0;      // of what the bottleneck could have carried in that time
  double delay_mean_ms = 0;    // one way: propagation and bottleneck
  double delay_p50_ms = 0;
  double delay_p95_ms = 0;
  double queue_delay_mean_ms = 0;  // in the bottleneck's queue and on its wire
  double queue_delay_p50_ms = 0;
  double queue_delay_p95_ms = 0;
  double loss = 0;        // of the packets whose fate is known, dropped or lost at random
  double queue_loss = 0;  // of the packets whose fate in the queue is known or that are on their way, dropped
  std::int64_t sent_packets = 0;  // = delivered + queue drops + random losses + in flight
  std::int64_t delivered_packets = 0;
  std::int64_t queue_drops = 0;
  std::int64_t random_losses = 0;
  std::int64_t in_flight_packets = 0;
  // Of observed flows alone; the return is not a number for others.
  double episode_return = std::numeric_limits<double>::quiet_NaN();
  std::int64_t steps = 0;
  std::int64_t skipped_observations = 0;
  std::optional<GuardReport> guard;  // of guarded flows alone
};

// One source of cross traffic.
struct TrafficReport {
  std::string kind;
  double throughput_mbps = 0;  // through the bottleneck and to its end, over the source's active time
  double queue_delay_mean_ms = 0;
  double queue_delay_p95_ms = 0;
  double loss = 0;  // of the packets whose fate is known
  std::int64_t sent_packets = 0;
  std::int64_t delivered_packets = 0;
  std::int64_t in_flight_packets = 0;
  // Of short transfers; times from the first byte's sending to the last one's acknowledgement, zero without
  // any.
  std::int64_t completed = 0;
  std::int64_t unfinished = 0;
  std::int64_t blocked = 0;
  double completion_mean_ms = 0;
  double completion_p50_ms = 0;
  double completion_p95_ms = 0;
};

struct EpisodeReport {
  std::int64_t env = 0;
  std::int64_t episode = 0;  // of that environment, from 0
  std::uint64_t seed = 0;    // reproduces the episode, given the scenario
  std::int32_t scenario_index = 0;
  std::string scenario;
  std::int64_t steps = 0;  // decisions of flow 0, whose are the return and what was skipped, too
  double episode_return = 0;
  RewardTerms return_terms;  // what the return is the sum of
  std::int64_t skipped_observations = 0;
  bool terminated = false;  // flow 0's transfer was complete; else cut at the episode's length
  double length_ms = 0;
  std::vector<FlowReport> flows;
  std::vector<TrafficReport> cross_traffic;
  std::vector<SeriesPoint> series;  // empty unless asked for
  std::vector<EventLog> events;     // by flow; empty unless asked for
};

FlowReport report_flow(std::int32_t index, const std::string& scheme, const FlowOutcome& outcome);
// `stop`: when the flow stopped being active.
GuardReport report_guard(const Guard& guard, Duration active, TimePoint stop, std::vector<GuardEvent> events);
// As a flow's report has it.
Value to_value(const GuardReport& guard);
TrafficReport report_traffic(const CrossTrafficConfig& config, const TrafficOutcome& outcome);

// Key by field name; `episode_return` is "return"; `series` is a mapping of columns, absent where empty, as
// is a flow's `guard` where it has none.
Value to_value(const EpisodeReport& report);

}  // namespace mvfstrl
