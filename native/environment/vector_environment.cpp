#include "environment/vector_environment.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace mvfstrl {
namespace {

const VectorOptions& checked(const VectorOptions& options) {
  if (options.num_envs < 1) {
    throw std::invalid_argument("num_envs: must be at least 1, got " + std::to_string(options.num_envs));
  }
  if (options.num_groups < 1 || options.num_envs % options.num_groups != 0) {
    throw std::invalid_argument("num_groups: must divide num_envs, got " +
                                std::to_string(options.num_groups) + " groups for " +
                                std::to_string(options.num_envs) + " environments");
  }
  if (options.num_threads < 0) {
    throw std::invalid_argument("num_threads: must be zero or more, got " +
                                std::to_string(options.num_threads));
  }
  if (options.siblings < 1 || options.num_envs / options.num_groups % options.siblings != 0) {
    throw std::invalid_argument("siblings: must divide the environments of a group, got " +
                                std::to_string(options.siblings) + " for " +
                                std::to_string(options.num_envs / options.num_groups));
  }
  return options;
}

void size_arrays(StepArrays& arrays, std::size_t rows, std::size_t observation_size) {
  arrays.observation.assign(rows * observation_size, 0.0F);
  arrays.reward.assign(rows, 0.0F);
  arrays.terminated.assign(rows, 0);
  arrays.truncated.assign(rows, 0);
  arrays.first.assign(rows, 0);
  arrays.active.assign(rows, 0);
  arrays.over.assign(rows, 0);
  arrays.job.assign(rows, 0);
  arrays.skipped.assign(rows, 0);
  arrays.window_packets.assign(rows, 0.0F);
}

// A few pieces a thread even out episodes of different cost.
std::int32_t piece_size(std::int32_t envs, std::int32_t threads) {
  const std::int32_t pieces = threads <= 1 ? 1 : 4 * threads;
  return std::max(1, (envs + pieces - 1) / pieces);
}

StepRows rows_of(StepArrays& arrays) {
  return {.observation = arrays.observation.data(),
          .reward = arrays.reward.data(),
          .terminated = arrays.terminated.data(),
          .truncated = arrays.truncated.data(),
          .first = arrays.first.data(),
          .job = arrays.job.data()};
}

void require_size(const char* what, const char* of, std::size_t got, std::int32_t wanted) {
  if (got != static_cast<std::size_t>(wanted)) {
    throw std::invalid_argument(std::string(what) + ": need one for each of the group's " +
                                std::to_string(wanted) + " " + of + ", got " + std::to_string(got));
  }
}

}  // namespace

std::uint64_t episode_seed(std::uint64_t seed, std::int64_t env, std::int64_t episode) {
  return Rng(seed, static_cast<std::uint64_t>(env)).fork(static_cast<std::uint64_t>(episode)).next_u64();
}

VectorEnvironment::VectorEnvironment(EnvironmentConfig config, const VectorOptions& options)
    : options_(checked(options)),
      shared_(std::move(config)),
      slots_(static_cast<std::size_t>(options.num_envs)),
      groups_(static_cast<std::size_t>(options.num_groups)),
      workers_(options.num_threads) {
  for (Slot& slot : slots_) {
    slot.environment = std::make_unique<Environment>(shared_);
    slot.environment->record_series(options_.record_series);
    slot.environment->record_events(options_.record_events);
    slot.actions.resize(slot.environment->agent_count());
  }
  observation_size_ = slots_[0].environment->observation_size();
  num_agents_ = static_cast<std::int32_t>(slots_[0].environment->agent_count());
  const auto rows = static_cast<std::size_t>(group_size());
  for (std::int32_t g = 0; g < num_groups(); ++g) {
    Group& group = group_at(g);
    group.index = g;
    group.first_env = g * group_envs();
    group.actions.assign(rows, 0);
    size_arrays(group.arrays, rows, observation_size_);
    group.work.assign([this, &group](std::int32_t from, std::int32_t to) { run_envs(group, from, to); },
                      group_envs(), piece_size(group_envs(), options_.num_threads));
  }
}

VectorEnvironment::Group& VectorEnvironment::group_at(std::int32_t group) {
  return const_cast<Group&>(std::as_const(*this).group_at(group));
}

const VectorEnvironment::Group& VectorEnvironment::group_at(std::int32_t group) const {
  if (group < 0 || group >= options_.num_groups) {
    throw std::invalid_argument("group: must be below " + std::to_string(options_.num_groups) + ", got " +
                                std::to_string(group));
  }
  return groups_[static_cast<std::size_t>(group)];
}

VectorEnvironment::Group& VectorEnvironment::idle_group(std::int32_t index) {
  Group& group = group_at(index);
  if (closed_) throw std::logic_error("the vector environment is closed");
  if (group.round != Round::kIdle) {
    throw std::logic_error("group " + std::to_string(index) +
                           ": recv() must come before the next send or reset");
  }
  return group;
}

void VectorEnvironment::reset(std::int32_t index, const StepRows* into) {
  Group& group = idle_group(index);
  group.needs_reset = false;
  begin(group, Round::kReset, into);
}

void VectorEnvironment::reset_with(std::int32_t index, std::span<const std::uint64_t> episode_seeds,
                                   std::span<const std::int32_t> scenarios) {
  Group& group = idle_group(index);
  require_size("episode_seeds", "environments", episode_seeds.size(), group_envs());
  require_size("scenarios", "environments", scenarios.size(), group_envs());
  for (const std::int32_t scenario : scenarios) {
    if (scenario < -1 || scenario >= static_cast<std::int32_t>(shared_.scenarios.size())) {
      throw std::invalid_argument("scenarios: must be -1 (drawn) to " +
                                  std::to_string(shared_.scenarios.size() - 1) + ", got " +
                                  std::to_string(scenario));
    }
  }
  for (std::size_t env = 0; env < scenarios.size(); ++env) {
    Slot& slot = slot_of(group, static_cast<std::int32_t>(env));
    slot.wanted_seed = episode_seeds[env];
    slot.wanted_scenario.reset();
    if (scenarios[env] >= 0) slot.wanted_scenario = scenarios[env];
  }
  group.needs_reset = false;
  begin(group, Round::kResetWith, nullptr);
}

void VectorEnvironment::send(std::int32_t index, std::span<const std::int32_t> actions,
                             const StepRows* into) {
  Group& group = idle_group(index);
  if (group.needs_reset) throw std::logic_error("group " + std::to_string(index) + ": reset it first");
  require_size("actions", num_agents_ == 1 ? "environments" : "agents", actions.size(), group_size());
  const auto count = static_cast<std::int32_t>(num_actions());
  for (std::size_t row = 0; row < actions.size(); ++row) {
    if (actions[row] < 0 || actions[row] >= count) {
      throw std::invalid_argument("actions[" + std::to_string(row) + "]: must be 0 to " +
                                  std::to_string(count - 1) + ", got " + std::to_string(actions[row]));
    }
  }
  std::copy(actions.begin(), actions.end(), group.actions.begin());
  begin(group, Round::kStep, into);
}

void VectorEnvironment::begin(Group& group, Round round, const StepRows* into) {
  group.round = round;
  group.rows = into != nullptr ? *into : rows_of(group.arrays);
  if (options_.num_threads > 0) workers_.submit(group.work);
}

void VectorEnvironment::run_envs(Group& group, std::int32_t begin, std::int32_t end) {
  for (std::int32_t env = begin; env < end && !closed_; ++env) {
    try {
      run_env(group, env);
    } catch (...) {
      Slot& slot = slot_of(group, env);
      slot.failure = std::current_exception();
      slot.over = true;
      group.news = true;
    }
  }
}

std::size_t VectorEnvironment::row_of(std::int32_t env, std::size_t agent) const {
  const std::int32_t set = env / options_.siblings;
  const std::int32_t place = set * num_agents_ + static_cast<std::int32_t>(agent);
  return static_cast<std::size_t>(place * options_.siblings + env % options_.siblings);
}

void VectorEnvironment::run_env(Group& group, std::int32_t env) {
  Slot& slot = slot_of(group, env);
  if (group.round == Round::kStep && !slot.over) {
    step_env(group, env);
    return;
  }
  if (group.round != Round::kResetWith) {
    slot.wanted_seed =
        episode_seed(options_.seed, (group.first_env + env) / options_.siblings, slot.next_episode);
    slot.wanted_scenario.reset();
  }
  start_episode(group, env);
}

void VectorEnvironment::start_episode(Group& group, std::int32_t env) {
  Slot& slot = slot_of(group, env);
  slot.episode = slot.next_episode++;
  slot.over = false;
  slot.environment->reset(slot.wanted_seed, slot.wanted_scenario);
  write_rows(group, env);
}

void VectorEnvironment::step_env(Group& group, std::int32_t env) {
  Slot& slot = slot_of(group, env);
  for (std::size_t i = 0; i < slot.actions.size(); ++i) slot.actions[i] = group.actions[row_of(env, i)];
  slot.environment->step(slot.actions);
  slot.over = slot.environment->over();
  write_rows(group, env);
  if (!slot.over) return;
  slot.report = slot.environment->finish();
  slot.report->env = group.first_env + env;
  slot.report->episode = slot.episode;
  group.news = true;
}

void VectorEnvironment::write_rows(Group& group, std::int32_t env) {
  const Slot& slot = slot_of(group, env);
  for (std::size_t i = 0; i < slot.environment->agent_count(); ++i) {
    const std::size_t row = row_of(env, i);
    write_row(group, row, slot.environment->agent(i));
    group.rows.job[row] = slot.environment->scenario();
    group.arrays.over[row] = slot.over ? 1 : 0;
  }
}

void VectorEnvironment::write_row(Group& group, std::size_t row, const Agent& agent) {
  const StepRows& rows = group.rows;
  const StepResult& result = agent.result();
  const auto observation = std::span(rows.observation + row * observation_size_, observation_size_);
  if (result.active) {
    agent.write_observation(observation);
  } else {
    std::fill(observation.begin(), observation.end(), 0.0F);
  }
  rows.reward[row] = static_cast<float>(result.reward);
  rows.terminated[row] = result.terminated ? 1 : 0;
  rows.truncated[row] = result.truncated || !result.active ? 1 : 0;
  rows.first[row] = result.first ? 1 : 0;
  group.arrays.active[row] = result.active ? 1 : 0;
  group.arrays.skipped[row] = result.skipped;
  group.arrays.window_packets[row] = result.active ? static_cast<float>(agent.window_packets()) : 0.0F;
}

const StepArrays& VectorEnvironment::recv(std::int32_t index) {
  Group& group = group_at(index);
  if (group.round == Round::kIdle) {
    throw std::logic_error("group " + std::to_string(index) + ": recv() without a send or reset before it");
  }
  wait_for(group);
  group.round = Round::kIdle;
  if (group.news.exchange(false)) {
    collect(group);
    raise_failure(group);
  }
  return group.arrays;
}

void VectorEnvironment::wait_for(Group& group) {
  if (options_.num_threads == 0) {
    if (closed_) throw std::runtime_error("the vector environment is closed");
    run_envs(group, 0, group_envs());
    return;
  }
  if (!workers_.wait(group.work)) throw std::runtime_error("the vector environment is closed");
}

void VectorEnvironment::collect(Group& group) {
  const std::lock_guard lock(mutex_);
  for (std::int32_t env = 0; env < group_envs(); ++env) {
    Slot& slot = slot_of(group, env);
    if (!slot.report) continue;
    finished_.push_back(*std::exchange(slot.report, std::nullopt));
  }
}

void VectorEnvironment::raise_failure(Group& group) {
  std::string text;
  for (std::int32_t i = 0; i < group_envs(); ++i) {
    const std::int32_t env = group.first_env + i;
    const std::exception_ptr failure =
        std::exchange(slots_[static_cast<std::size_t>(env)].failure, std::exception_ptr());
    if (!failure || !text.empty()) continue;
    text = "environment " + std::to_string(env) + ": ";
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      text += error.what();
    } catch (...) {
      text += "unknown failure";
    }
  }
  if (text.empty()) return;
  group.needs_reset = true;
  throw std::runtime_error(text);
}

std::vector<EpisodeReport> VectorEnvironment::drain_episodes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(finished_, {});
}

Simulation* VectorEnvironment::simulation(std::int32_t env) {
  if (env < 0 || env >= num_envs()) {
    throw std::invalid_argument("env: must be below " + std::to_string(num_envs()) + ", got " +
                                std::to_string(env));
  }
  if (group_at(env / group_envs()).round != Round::kIdle) {
    throw std::logic_error("env " + std::to_string(env) + ": its group has a round under way");
  }
  return slots_[static_cast<std::size_t>(env)].environment->simulation();
}

void VectorEnvironment::close() {
  if (closed_.exchange(true)) return;
  workers_.close();
}

}  // namespace mvfstrl
