// Many environments in groups that are stepped asynchronously: send(group, actions) returns at once,
// recv(group) waits for the results, and meanwhile another group can be answered. Worker threads do the
// stepping; what comes out is the same bytes whatever their number, because an environment's episodes depend
// on (seed, environment, episode) alone and each writes to rows of its own. Different groups may be used from
// different threads; one group, from one at a time.
//
// Episodes follow each other by Gymnasium's NEXT_STEP rule: the step that ends one returns its last
// observation with `terminated` or `truncated`; the next send's action for that environment is ignored, and
// brings the next episode's first observation with reward 0 and `first` set.
//
// Where several flows are agents, each has a row: row r is agent r % A of environment r / A of the group. An
// agent's `first` row is that of the window in which its flow starts, its `truncated` or `terminated` one
// that of the window in which it stops, and its rows outside are not `active`: zeros, whose action is ignored
// and whose `truncated` is set, for no transition leads out of them. The rows of an environment see its
// episode end together, which `over` tells.
//
// Siblings are so many environments side by side that play the same episodes, each with actions of its own:
// environment e draws its seeds as environment e / S would without them. So do their rows stand side by side:
// row r is sibling r % S, of agent r / S % A, of set r / S / A of the group.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "environment/environment.h"
#include "environment/worker_pool.h"

namespace mvfstrl {

struct VectorOptions {
  std::int32_t num_envs = 1;
  std::int32_t num_groups = 1;   // divides num_envs; group g has environments [g n, (g + 1) n)
  std::int32_t num_threads = 1;  // 0: no workers, recv() steps in the calling thread
  std::uint64_t seed = 0;
  std::int32_t siblings = 1;  // divides a group's environments
  bool record_series = false;
  bool record_events = false;
};

// One row an agent of an environment of the group.
struct StepArrays {
  std::vector<float> observation;  // row after row
  std::vector<float> reward;
  std::vector<std::uint8_t> terminated;
  std::vector<std::uint8_t> truncated;
  std::vector<std::uint8_t> first;   // the observation is the agent's first of an episode
  std::vector<std::uint8_t> active;  // there is an observation
  std::vector<std::uint8_t> over;    // the environment's episode ended with this step
  std::vector<std::int32_t> job;     // scenario index
  std::vector<std::int32_t> skipped;
  std::vector<float> window_packets;
};

// Where a round's results go instead: memory of the caller's, of the size of the array of StepArrays by the
// same name, that stays until the round was received.
struct StepRows {
  float* observation = nullptr;
  float* reward = nullptr;
  std::uint8_t* terminated = nullptr;
  std::uint8_t* truncated = nullptr;
  std::uint8_t* first = nullptr;
  std::int32_t* job = nullptr;
};

// The seed of episode `episode` of environment `env`.
std::uint64_t episode_seed(std::uint64_t seed, std::int64_t env, std::int64_t episode);

class VectorEnvironment {
 public:
  // Throws std::invalid_argument naming the bad option or configuration item.
  VectorEnvironment(EnvironmentConfig config, const VectorOptions& options);
  ~VectorEnvironment() { close(); }

  std::int32_t num_envs() const { return options_.num_envs; }
  std::int32_t num_groups() const { return options_.num_groups; }
  std::int32_t num_agents() const { return num_agents_; }
  // Environments of a group, and its rows.
  std::int32_t group_envs() const { return options_.num_envs / options_.num_groups; }
  std::int32_t group_size() const { return group_envs() * num_agents_; }
  std::size_t observation_size() const { return observation_size_; }
  std::size_t num_actions() const { return shared_.actions.size(); }
  const EnvironmentShared& shared() const { return shared_; }

  // Each of these three begins a round that recv() completes. They throw std::logic_error while one is under
  // way or after close(), std::invalid_argument for a bad argument, and do nothing then.
  //
  // A new episode in every environment of the group, each the next of its own series. Results go `into` rows
  // of the caller's if any are given, else into the group's arrays; what StepRows does not hold always does.
  void reset(std::int32_t group, const StepRows* into = nullptr);
  // A given episode in each environment; scenario -1: drawn from the seed by weight.
  void reset_with(std::int32_t group, std::span<const std::uint64_t> episode_seeds,
                  std::span<const std::int32_t> scenarios);
  void send(std::int32_t group, std::span<const std::int32_t> actions, const StepRows* into = nullptr);

  // Waits for the group's round. Throws std::logic_error if none was begun, std::runtime_error naming the
  // environment if stepping it failed (the group then needs a reset), or if close() came in between. The
  // arrays stay as they are until the group's next round.
  const StepArrays& recv(std::int32_t group);
  // The group's arrays, whose addresses never change.
  const StepArrays& arrays(std::int32_t group) const { return group_at(group).arrays; }

  // Reports of the episodes that ended in rounds received since the last call: by order of recv(), then of
  // environment.
  std::vector<EpisodeReport> drain_episodes();

  // The simulation of an environment whose group has no round under way; null before its first reset.
  Simulation* simulation(std::int32_t env);

  // Stops the workers; whoever waits in recv() gets an error. Idempotent.
  void close();

 private:
  struct Slot {
    std::unique_ptr<Environment> environment;
    std::vector<std::int32_t> actions;  // its agents'
    std::int64_t next_episode = 0;
    std::int64_t episode = -1;  // the running one
    bool over = true;           // the next step begins an episode
    std::uint64_t wanted_seed = 0;
    std::optional<std::int32_t> wanted_scenario;
    std::optional<EpisodeReport> report;
    std::exception_ptr failure;
  };
  enum class Round { kIdle, kReset, kResetWith, kStep };
  struct Group {
    std::int32_t index = 0;
    std::int32_t first_env = 0;
    StepArrays arrays;
    StepRows rows;  // of the round
    std::vector<std::int32_t> actions;
    Round round = Round::kIdle;
    bool needs_reset = true;
    WorkerPool::Range work;          // on its environments
    std::atomic<bool> news = false;  // an episode ended, or failed, in the round
  };

  Group& group_at(std::int32_t group);
  const Group& group_at(std::int32_t group) const;
  Group& idle_group(std::int32_t group);
  void begin(Group& group, Round round, const StepRows* into);
  void run_envs(Group& group, std::int32_t begin, std::int32_t end);
  // `env` counts within the group.
  Slot& slot_of(const Group& group, std::int32_t env) {
    return slots_[static_cast<std::size_t>(group.first_env + env)];
  }
  // The row of the group that an agent of its environment `env` has.
  std::size_t row_of(std::int32_t env, std::size_t agent) const;
  void run_env(Group& group, std::int32_t env);
  void start_episode(Group& group, std::int32_t env);
  void step_env(Group& group, std::int32_t env);
  void write_rows(Group& group, std::int32_t env);
  void write_row(Group& group, std::size_t row, const Agent& agent);
  void wait_for(Group& group);
  void collect(Group& group);
  void raise_failure(Group& group);

  VectorOptions options_;
  EnvironmentShared shared_;
  std::size_t observation_size_;
  std::int32_t num_agents_;
  std::vector<Slot> slots_;
  std::vector<Group> groups_;

  std::mutex mutex_;
  std::vector<EpisodeReport> finished_;  // guarded by mutex_
  std::atomic<bool> closed_ = false;
  WorkerPool workers_;  // last: its threads use all of the above
};

}  // namespace mvfstrl
