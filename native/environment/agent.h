// The reinforcement-learning side of one flow: what it is shown of each observation window, and its answers,
// each of which takes effect a while after the observation that it answers (environment.h tells the order).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/rng.h"
#include "congestion/observer.h"
#include "environment/config.h"
#include "environment/simulation.h"
#include "observe/action_set.h"
#include "observe/observer.h"
#include "observe/reward.h"
#include "observe/step_account.h"
#include "policy/guarded_controller.h"

namespace mvfstrl {

// How an agent's last window ended.
struct ClosedWindow {
  RewardTerms reward;
  Duration mean_rtt;
  bool skipped = false;  // nobody is asked: an answer is outstanding
};

// What the `number`th agent's random actions are drawn with.
Rng action_rng(std::uint64_t episode_seed, std::size_t number);

class Agent final : private ConnectionObserver, private GuardLog {
 public:
  // The `number`th agent drives, or only observes, flow `flow`. `alone`: the simulation is interrupted as
  // soon as a count window is full or the transfer complete. The references must outlive the agent.
  Agent(const EnvironmentConfig& config, const ActionSet& actions, const Reward& reward, std::size_t number,
        std::size_t flow, bool alone);

  // A new episode, in which the agent waits to be opened.
  void begin_episode(Simulation& simulation, std::uint64_t episode_seed);
  // Its first window begins at `start`; to be called before anything of it has been acknowledged.
  void open(TimePoint start);
  void begin_round() { account_.begin_step(); }
  // Answers the latest observation; ignored where a classic controller drives the flow. Of a guarded flow, an
  // answer that would be late is given up when the guard's patience ends.
  void answer(std::int32_t action);
  // When the outstanding answer takes effect; never() if there is none.
  TimePoint due() const { return outstanding_ ? outstanding_->due : TimePoint::never(); }
  // Lets it take effect, and returns the action; kNoAction if a guard's fall-back drives instead.
  std::int32_t take_effect();

  TimePoint window_end() const { return observer_.window_end(); }
  bool window_full() const { return window_full_; }
  bool transfer_complete() const { return finished_; }
  // Closes the open window. `episode_over`: there will be no other.
  ClosedWindow close_window(bool episode_over);

  std::size_t flow() const { return flow_; }
  bool waiting() const { return state_ == State::kWaiting; }
  bool running() const { return state_ == State::kRunning; }
  bool done() const { return state_ == State::kDone; }
  // Has an observation to be answered.
  bool asked() const { return running() && account_.met(); }
  TimePoint start() const { return TimePoint::zero() + config_.flows[flow_].start; }
  const StepResult& result() const { return account_.result(); }
  double window_packets() const;
  std::size_t observation_size() const { return observer_.size(); }
  // Of the latest closed window.
  void write_observation(std::span<float> out) const { observer_.write_observation(out); }

  // Over the episode.
  const StepAccount& account() const { return account_; }
  // Null unless its flow is guarded.
  const Guard* guard() const { return guarded_ ? &guarded_->guard() : nullptr; }
  std::vector<GuardEvent> take_guard_events() { return std::exchange(guard_events_, {}); }
  void detach() { simulation_->sender(flow_).set_observer(nullptr); }

 private:
  enum class State : std::uint8_t { kWaiting, kRunning, kDone };
  struct Answer {
    std::int32_t action;
    TimePoint due;
    Duration latency;
  };

  void on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                const ConnectionStats& stats) override;
  void on_guard_event(const GuardEvent& event) override { guard_events_.push_back(event); }
  Duration draw_action_delay();

  const EnvironmentConfig& config_;
  const ActionSet& actions_;
  const Reward& reward_;
  std::size_t number_, flow_;
  bool alone_;
  bool fixed_size_;  // the flow ends by itself
  Observer observer_;
  Simulation* simulation_ = nullptr;

  // The episode.
  State state_ = State::kWaiting;
  Rng delay_rng_, action_rng_;
  bool window_full_ = false;  // a count window
  bool finished_ = false;
  std::optional<Answer> outstanding_;
  GuardedController* guarded_ = nullptr;  // the flow's controller, where it is one
  std::vector<GuardEvent> guard_events_;
  StepAccount account_;
};

// Flow 0, and every other that waits for actions.
std::vector<std::size_t> agent_flows(const std::vector<FlowConfig>& flows);
// Throws std::invalid_argument naming what several agents, or one, cannot do.
void check_agents(const EnvironmentConfig& config);

}  // namespace mvfstrl
