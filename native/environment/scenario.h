// From a distribution of paths to the one path of an episode.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/rng.h"
#include "environment/config.h"
#include "path/config.h"
#include "path/trace.h"

namespace mvfstrl {

// The path that an episode runs on.
struct EpisodePath {
  std::int32_t scenario = 0;  // index into the configuration's list: the job
  DirectionConfig uplink;     // data
  DirectionConfig downlink;   // ACKs
  std::int64_t overhead_bytes = 28;
};

// The random streams of an episode's two links, for whoever plays the path: in real time, too, the same seed
// is the same weather.
inline Rng data_rng(std::uint64_t episode_seed) { return Rng(episode_seed, 101); }
inline Rng ack_rng(std::uint64_t episode_seed) { return Rng(episode_seed, 102); }

// Draws paths. Every draw has a random stream of its own, so a changed knob leaves the other draws as they
// were. Immutable after construction and shared by environments: traces are read once.
class ScenarioDistribution {
 public:
  // Reads the trace files. Throws std::invalid_argument naming the scenario and what is wrong with it.
  // `full_packet`: UDP payload of a full packet, the least that a queue given in BDPs holds.
  ScenarioDistribution(const std::vector<ScenarioConfig>& scenarios, ByteCount full_packet);

  std::size_t size() const { return scenarios_.size(); }
  const std::string& name(std::int32_t scenario) const {
    return scenarios_[static_cast<std::size_t>(scenario)].name;
  }
  // A pure function of its arguments. `scenario` none: chosen by weight.
  EpisodePath sample(std::uint64_t episode_seed, std::optional<std::int32_t> scenario = std::nullopt) const;

 private:
  std::int32_t choose(Rng rng) const;
  // `place`: a random stream that both links share, for what they have in common.
  RateConfig sample_rate(const RateScenario& rate, Rng rng, Rng place) const;
  TraceRate sample_trace(const TraceRateScenario& rate, Rng rng, Rng place) const;
  TraceRate sample_trace(const ConstantTraceScenario& rate, Rng rng, Rng place) const;
  TraceRate sample_trace(const PeriodicTraceScenario& rate, Rng rng, Rng place) const;
  TraceRate sample_trace(const PoissonTraceScenario& rate, Rng rng, Rng place) const;
  QueueConfig sample_queue(const QueueScenario& queue, const RateConfig& rate, Duration one_way,
                           std::int64_t packet_bytes, Rng rng) const;
  void load_traces(const RateScenario& rate);

  std::vector<ScenarioConfig> scenarios_;
  double total_weight_ = 0;
  ByteCount full_packet_;
  std::map<std::string, std::shared_ptr<const Trace>> traces_;      // by file name
  std::map<double, std::shared_ptr<const Trace>> constant_traces_;  // those of one rate, by Mbps
};

// What a rate process carries on average over a long time.
Bandwidth mean_rate(const RateConfig& rate);
// What a packet of `bytes` that meets an empty link typically spends on it.
Duration lone_packet_time(const RateConfig& rate, ByteCount bytes);

}  // namespace mvfstrl
