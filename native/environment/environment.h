// One reinforcement-learning environment: agents, each driving a flow of one simulation, observed window by
// window, by actions that take effect a while after the observation that they answer. Flow 0 is the first
// agent's, whatever its controller; further ones are those of the flows that wait for actions.
//
// Time of one decision. The observation window closes at T: step()'s previous call has returned it. The
// answer is `action_delay` on its way; packets keep flowing. At T + action_delay the action changes the
// window. Windows that close before that are skipped: nobody is asked, they are counted, and their rewards
// are added to the step whose answer was outstanding. The first window that closes once the action is in
// effect ends the step. An answer due at the very instant of a close is in time for it.
//
// A single agent's windows begin when its flow starts. Those of several close together, at whole windows from
// the episode's start; an agent's first is the one in which its flow starts. Their action delays do not
// exceed a window, so nothing is skipped and a step is a window for all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "environment/agent.h"
#include "environment/config.h"
#include "environment/report.h"
#include "environment/scenario.h"
#include "environment/series.h"
#include "environment/simulation.h"
#include "observe/action_set.h"
#include "observe/reward.h"

namespace mvfstrl {

// What all environments of one configuration share, read-only.
struct EnvironmentShared {
  // Reads traces and checks everything; throws std::invalid_argument naming the bad item.
  explicit EnvironmentShared(EnvironmentConfig configuration);

  EnvironmentConfig config;
  ActionSet actions;
  Reward reward;
  ScenarioDistribution scenarios;
};

// Of windows that agents drive.
WindowLimits agent_limits(const EnvironmentConfig& config);

class Environment {
 public:
  // `shared` must outlive the environment.
  explicit Environment(const EnvironmentShared& shared);

  // Starts an episode and runs to the first close of a window. `scenario` none: drawn by weight.
  void reset(std::uint64_t episode_seed, std::optional<std::int32_t> scenario = std::nullopt);

  // Answers the latest observations, an action an agent, and runs to the next. Each is below the action
  // count; those of inactive agents and of flows that classic controllers drive are ignored. Not to be called
  // when the episode is over.
  void step(std::span<const std::int32_t> actions);
  // The same for a single agent.
  StepResult step(std::int32_t action);
  // Cut at its length, or over for every agent.
  bool over() const;

  std::size_t agent_count() const { return agents_.size(); }
  const Agent& agent(std::size_t number) const { return agents_[number]; }
  // The first agent's.
  void write_observation(std::span<float> out) const { agents_[0].write_observation(out); }
  std::size_t observation_size() const { return agents_[0].observation_size(); }
  double window_packets() const { return agents_[0].window_packets(); }
  std::int32_t scenario() const { return scenario_; }

  // Ends the episode, of which flows whose agents are done may still have a part to play, and says what came
  // of it (all but `env` and `episode`). Once an episode.
  EpisodeReport finish();

  // Whether reports hold series, from the next reset on.
  void record_series(bool record) { record_series_ = record; }
  // Whether they hold what happened on each flow, event by event.
  void record_events(bool record) { record_events_ = record; }
  // For checks; null before the first reset.
  Simulation* simulation() { return simulation_ ? &*simulation_ : nullptr; }

 private:
  // Where observation windows may begin: flow 0's start, or the episode's where there are several agents.
  TimePoint grid_start() const;
  TimePoint next_close() const;
  void open_agents();
  // Runs until the next window closes or the episode ends; lets outstanding answers take effect on the way.
  void run_window();
  Agent* first_due(TimePoint until);
  // True if an agent has an observation to be answered.
  bool close_windows();
  // Runs to `until`, or to an interrupt, and closes the series' windows on the way.
  void run_to(TimePoint until);
  void begin_series();
  void begin_events();
  bool cut() const { return simulation_->now() >= episode_end_; }

  const EnvironmentShared& shared_;
  bool record_series_ = false;
  bool record_events_ = false;
  SeriesRecorder series_;
  std::vector<EventLog> events_;  // by flow
  std::optional<Simulation> simulation_;
  std::vector<Agent> agents_;

  // The episode.
  std::uint64_t seed_ = 0;
  std::int32_t scenario_ = 0;
  TimePoint episode_end_;
  TimePoint close_;  // several agents: when their windows close next
};

}  // namespace mvfstrl
