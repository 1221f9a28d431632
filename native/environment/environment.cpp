#include "environment/environment.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "policy/apply_action.h"

namespace mvfstrl {

// Whether agents' packets are paced is part of what their actions mean.
static EnvironmentConfig with_pacing(EnvironmentConfig config) {
  for (FlowConfig& flow : config.flows) {
    if (auto* agent = std::get_if<ExternalConfig>(&flow.controller)) agent->pacing = config.actions.pacing;
    if (auto* random = std::get_if<RandomActions>(&flow.controller)) random->pacing = config.actions.pacing;
  }
  return config;
}

static void refuse_mvfsts_own(const std::vector<FlowConfig>& flows) {
  for (std::size_t i = 0; i < flows.size(); ++i) refuse_mvfst_scheme(flows[i].controller, i);
}

EnvironmentShared::EnvironmentShared(EnvironmentConfig configuration)
    : config(with_pacing(std::move(configuration))),
      actions(config.actions, config.transport.window.packet_size),
      reward(config.reward),
      scenarios(config.scenarios, config.transport.window.packet_size) {
  config.transport.validate();
  refuse_mvfsts_own(config.flows);
  check_agents(config);
  // A dry run: every constructor below checks its own part.
  Environment probe(*this);
  Simulation(scenarios.sample(0), config.flows, config.transport, config.transport.window, 0,
             config.cross_traffic);
}

Environment::Environment(const EnvironmentShared& shared) : shared_(shared) {
  const std::vector<std::size_t> flows = agent_flows(shared.config.flows);
  agents_.reserve(flows.size());  // senders point at them
  for (std::size_t i = 0; i < flows.size(); ++i) {
    agents_.emplace_back(shared.config, shared.actions, shared.reward, i, flows[i], flows.size() == 1);
  }
}

WindowLimits agent_limits(const EnvironmentConfig& config) {
  return window_limits(config.actions, config.transport.window.packet_size);
}

TimePoint Environment::grid_start() const {
  return agents_.size() == 1 ? agents_[0].start() : TimePoint::zero();
}

TimePoint Environment::next_close() const { return agents_.size() == 1 ? agents_[0].window_end() : close_; }

bool Environment::over() const {
  return cut() || std::all_of(agents_.begin(), agents_.end(), [](const Agent& a) { return a.done(); }) ||
         (agents_.size() == 1 && agents_[0].transfer_complete());
}

void Environment::reset(std::uint64_t episode_seed, std::optional<std::int32_t> scenario) {
  const EnvironmentConfig& config = shared_.config;
  const EpisodePath path = shared_.scenarios.sample(episode_seed, scenario);
  seed_ = episode_seed;
  scenario_ = path.scenario;
  episode_end_ = TimePoint::zero() + config.episode;
  simulation_.emplace(path, config.flows, config.transport, agent_limits(config), episode_seed,
                      config.cross_traffic);
  for (Agent& agent : agents_) agent.begin_episode(*simulation_, episode_seed);
  if (record_series_) begin_series();
  if (record_events_) begin_events();

  // Up to the last moment before a single agent's flow starts: its first packets belong to its first window.
  const TimePoint start = grid_start();
  if (start > TimePoint::zero()) run_to(start - Duration::from_ns(1));
  close_ = start + config.observation.window;
  open_agents();
  do {
    run_window();
  } while (!close_windows() && !over());
}

void Environment::step(std::span<const std::int32_t> actions) {
  assert(simulation_ && actions.size() == agents_.size());
  for (std::size_t i = 0; i < agents_.size(); ++i) {
    agents_[i].begin_round();
    if (agents_[i].asked()) agents_[i].answer(actions[i]);
  }
  do {
    run_window();
  } while (!close_windows() && !over());
}

StepResult Environment::step(std::int32_t action) {
  step(std::span<const std::int32_t>(&action, 1));
  return agents_[0].result();
}

void Environment::open_agents() {
  const bool alone = agents_.size() == 1;
  for (Agent& agent : agents_) {
    if (agent.waiting() && (alone || agent.start() < close_)) {
      agent.open(alone ? agent.start() : close_ - shared_.config.observation.window);
    }
  }
}

void Environment::run_window() {
  while (!cut() && !(agents_.size() == 1 && (agents_[0].window_full() || agents_[0].transfer_complete()))) {
    const TimePoint close = std::min(next_close(), episode_end_);
    if (Agent* agent = first_due(close)) {
      const TimePoint due = agent->due();
      run_to(due);
      if (simulation_->now() < due) continue;  // interrupted
      const std::int32_t action = agent->take_effect();
      if (action == kNoAction) continue;
      if (record_series_) series_.on_action(agent->flow(), action);
      if (record_events_) {
        const ByteCount window = simulation_->sender(agent->flow()).controller().congestion_window();
        events_[agent->flow()].on_action(due, action, window);
      }
      continue;
    }
    run_to(close);
    if (simulation_->now() >= close) return;
  }
}

Agent* Environment::first_due(TimePoint until) {
  Agent* first = nullptr;
  for (Agent& agent : agents_) {
    if (agent.due() > until) continue;
    if (first == nullptr || agent.due() < first->due()) first = &agent;
  }
  return first;
}

bool Environment::close_windows() {
  const bool episode_over = over();
  bool asked = false;
  for (Agent& agent : agents_) {
    if (!agent.running()) continue;
    const ClosedWindow closed = agent.close_window(episode_over);
    if (record_series_)
      series_.on_observed(agent.flow(), closed.reward.sum(), closed.mean_rtt, closed.skipped);
    asked |= !closed.skipped;
  }
  if (record_series_ && simulation_->now() >= series_.due()) series_.close();
  if (agents_.size() > 1) {
    close_ += shared_.config.observation.window;
    open_agents();
  }
  return asked;
}

void Environment::run_to(TimePoint until) {
  while (record_series_ && series_.due() < until) {
    simulation_->run_until(series_.due());
    if (simulation_->interrupted()) return;
    series_.close();
  }
  simulation_->run_until(until);
}

// The series' windows close with those of the observation.
void Environment::begin_series() {
  const Duration window = series_window(shared_.config.observation);
  const Duration head = Duration::from_ns((grid_start() - TimePoint::zero()).ns() % window.ns());
  series_.begin(*simulation_, shared_.config.flows, TimePoint::zero() + (head.is_zero() ? window : head),
                window, shared_.config.transport.window.packet_size);
}

void Environment::begin_events() {
  events_.assign(simulation_->flow_count(), EventLog());
  for (std::size_t i = 0; i < events_.size(); ++i) simulation_->sender(i).set_log(&events_[i]);
}

EpisodeReport Environment::finish() {
  const bool complete = agents_[0].transfer_complete() && agents_.size() == 1;
  for (Agent& agent : agents_) agent.detach();
  if (!complete && !cut()) run_to(episode_end_);
  EpisodeReport report;
  report.seed = seed_;
  report.scenario_index = scenario_;
  report.scenario = shared_.scenarios.name(scenario_);
  report.steps = agents_[0].account().steps();
  report.episode_return = agents_[0].account().episode_return();
  report.return_terms = agents_[0].account().return_terms();
  report.skipped_observations = agents_[0].account().skipped();
  report.terminated = agents_[0].transfer_complete();
  report.length_ms = simulation_->now().to_ms();
  const auto outcomes = simulation_->finish();
  if (record_series_) report.series = series_.finish();
  for (std::size_t i = 0; i < events_.size(); ++i) simulation_->sender(i).set_log(nullptr);
  report.events = std::exchange(events_, {});
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const SchemeConfig& scheme = shared_.config.flows[i].controller;
    report.flows.push_back(report_flow(static_cast<std::int32_t>(i), scheme_name(scheme), outcomes[i]));
  }
  const auto traffic = simulation_->traffic_outcomes();
  for (std::size_t i = 0; i < traffic.size(); ++i) {
    report.cross_traffic.push_back(report_traffic(shared_.config.cross_traffic[i], traffic[i]));
  }
  for (Agent& agent : agents_) {
    FlowReport& flow = report.flows[agent.flow()];
    flow.steps = agent.account().steps();
    flow.episode_return = agent.account().episode_return();
    flow.skipped_observations = agent.account().skipped();
    if (const Guard* guard = agent.guard()) {
      const Duration active = outcomes[agent.flow()].active;
      const auto stop = std::min(simulation_->now(), agent.start() + active);
      flow.guard = report_guard(*guard, active, stop, agent.take_guard_events());
    }
  }
  return report;
}

}  // namespace mvfstrl
