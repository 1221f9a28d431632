// One reinforcement-learning environment: flow 0 of a simulation, observed window by window and driven by
// actions that take effect a while after the observation that they answer.
//
// Time of one decision. The observation window closes at T: step()'s previous call has returned it. The
// answer is `action_delay` on its way; packets keep flowing. At T + action_delay the action changes the
// window. Windows that close before that are skipped: nobody is asked, they are counted, and their rewards
// are added to the step whose answer was outstanding. The first window that closes once the action is in
// effect ends the step. An answer due at the very instant of a close is in time for it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "congestion/observer.h"
#include "environment/config.h"
#include "environment/report.h"
#include "environment/scenario.h"
#include "environment/series.h"
#include "environment/simulation.h"
#include "observe/action_set.h"
#include "observe/observer.h"
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

struct StepResult {
  double reward = 0;
  bool terminated = false;   // flow 0's transfer is complete
  bool truncated = false;    // the episode's length is reached
  std::int32_t skipped = 0;  // windows that closed while the answer was outstanding
};

class Environment final : private ConnectionObserver {
 public:
  // `shared` must outlive the environment.
  explicit Environment(const EnvironmentShared& shared);

  // Starts an episode and runs to the close of its first window. `scenario` none: drawn by weight.
  void reset(std::uint64_t episode_seed, std::optional<std::int32_t> scenario = std::nullopt);

  // Answers the latest observation and runs to the next. `action` < action count; ignored unless flow 0's
  // scheme is `external`. Not to be called after a step that ended the episode.
  StepResult step(std::int32_t action);

  // The observation of the latest closed window.
  void write_observation(std::span<float> out) const { observer_.write_observation(out); }
  std::size_t observation_size() const { return observer_.size(); }
  std::int32_t scenario() const { return scenario_; }
  double window_packets();

  // Ends the episode and says what came of it (all but `env` and `episode`). Once an episode.
  EpisodeReport finish();

  // Whether reports hold series, from the next reset on.
  void record_series(bool record) { record_series_ = record; }
  // For checks; null before the first reset.
  Simulation* simulation() { return simulation_ ? &*simulation_ : nullptr; }

 private:
  struct Answer {
    std::int32_t action;
    TimePoint due;
  };

  void on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                const ConnectionStats& stats) override;
  WindowLimits agent_limits() const;
  std::optional<Answer> answer(std::int32_t action);
  Duration draw_action_delay();
  void take_effect(const Answer& answer);
  // Runs until a window closes or the episode ends; lets `outstanding` take effect on the way.
  void run_window(std::optional<Answer>& outstanding);
  WindowSummary close_window();
  // Runs to `until`, or to an interrupt, and closes the series' windows on the way.
  void run_to(TimePoint until);
  void begin_series();
  void record(const WindowSummary& summary, double reward, bool skipped);
  bool episode_over() const { return finished_ || simulation_->now() >= episode_end_; }

  const EnvironmentShared& shared_;
  Observer observer_;
  SeriesRecorder series_;  // while record_series_
  std::optional<Simulation> simulation_;
  bool fixed_size_;  // flow 0 ends by itself
  bool record_series_ = false;

  // The episode.
  std::uint64_t seed_ = 0;
  std::int32_t scenario_ = 0;
  Rng delay_rng_, action_rng_;
  TimePoint episode_end_;
  bool window_full_ = false;  // a count window
  bool finished_ = false;
  std::int64_t steps_ = 0;
  std::int64_t skipped_ = 0;
  double return_ = 0;
};

}  // namespace mvfstrl
