#include "environment/environment.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <utility>

#include "congestion/external.h"

namespace mvfstrl {
namespace {

enum Stream : std::uint64_t { kActionDelayStream = 201, kRandomActionStream };

}  // namespace

EnvironmentShared::EnvironmentShared(EnvironmentConfig configuration)
    : config(std::move(configuration)),
      actions(config.actions, config.transport.window.packet_size),
      reward(config.reward),
      scenarios(config.scenarios, config.transport.window.packet_size) {
  config.transport.validate();
  const FlowConfig& observed = config.flows.at(0);
  if (observed.start >= config.episode) {
    throw std::invalid_argument("flows[0].start_ms: must be before the episode's end");
  }
  // A dry run: every constructor below checks its own part.
  Environment probe(*this);
  Simulation(scenarios.sample(0), config.flows, config.transport, config.transport.window, 0);
}

Environment::Environment(const EnvironmentShared& shared)
    : shared_(shared),
      observer_(shared.config.observation, shared.actions.size()),
      fixed_size_(std::holds_alternative<FixedSizeApp>(shared.config.flows[0].app)) {}

WindowLimits Environment::agent_limits() const {
  const ActionConfig& actions = shared_.config.actions;
  return {.packet_size = shared_.config.transport.window.packet_size,
          .initial_packets = actions.initial_window_packets,
          .minimum_packets = actions.min_window_packets,
          .maximum_packets = actions.max_window_packets};
}

void Environment::reset(std::uint64_t episode_seed, std::optional<std::int32_t> scenario) {
  const EnvironmentConfig& config = shared_.config;
  const EpisodePath path = shared_.scenarios.sample(episode_seed, scenario);
  seed_ = episode_seed;
  scenario_ = path.scenario;
  delay_rng_ = Rng(episode_seed, kActionDelayStream);
  action_rng_ = Rng(episode_seed, kRandomActionStream);
  episode_end_ = TimePoint::zero() + config.episode;
  finished_ = false;
  steps_ = skipped_ = 0;
  return_ = 0;

  simulation_.emplace(path, config.flows, config.transport, agent_limits(), episode_seed);
  const TimePoint start = TimePoint::zero() + config.flows[0].start;
  if (record_series_) begin_series();
  // Up to the last moment before flow 0 starts: its first packets belong to its first window.
  if (start > TimePoint::zero()) run_to(start - Duration::from_ns(1));
  observer_.reset(start, simulation_->sender(0).stats().congestion_window);
  simulation_->sender(0).set_observer(this);

  std::optional<Answer> nothing_asked;
  run_window(nothing_asked);
  const WindowSummary summary = close_window();
  if (record_series_) record(summary, shared_.reward.of(summary), false);
}

StepResult Environment::step(std::int32_t action) {
  assert(simulation_ && !episode_over());
  StepResult result;
  std::optional<Answer> outstanding = answer(action);
  while (true) {
    run_window(outstanding);
    const WindowSummary summary = close_window();
    const double reward = shared_.reward.of(summary);
    result.reward += reward;
    const bool skip = outstanding.has_value() && !episode_over();
    if (record_series_) record(summary, reward, skip);
    if (!skip) break;
    ++result.skipped;
  }
  result.terminated = finished_;
  result.truncated = !finished_ && episode_over();
  ++steps_;
  skipped_ += result.skipped;
  return_ += result.reward;
  return result;
}

std::optional<Environment::Answer> Environment::answer(std::int32_t action) {
  const SchemeConfig& scheme = shared_.config.flows[0].controller;
  if (std::holds_alternative<RandomActions>(scheme)) {
    action = static_cast<std::int32_t>(action_rng_.below(shared_.actions.size()));
  } else if (!std::holds_alternative<ExternalConfig>(scheme)) {
    return std::nullopt;
  }
  return Answer{action, simulation_->now() + draw_action_delay()};
}

Duration Environment::draw_action_delay() {
  const ActionDelayConfig& config = shared_.config.action_delay;
  if (const auto* constant = std::get_if<ConstantDelay>(&config)) return constant->delay;
  if (const auto* uniform = std::get_if<UniformDelay>(&config)) {
    return Duration::from_ms_f(delay_rng_.uniform(uniform->low.to_ms(), uniform->high.to_ms()));
  }
  const auto& samples = std::get<EmpiricalDelay>(config).samples;
  return samples[delay_rng_.below(samples.size())];
}

void Environment::take_effect(const Answer& answer) {
  auto& controller = static_cast<ExternalController&>(simulation_->sender(0).controller());
  const ByteCount window =
      shared_.actions.apply(static_cast<std::size_t>(answer.action), controller.congestion_window());
  controller.set_window(window);
  observer_.on_action(static_cast<std::size_t>(answer.action), controller.congestion_window());
  if (record_series_) series_.on_action(0, answer.action);
  simulation_->pump(0);
}

void Environment::run_window(std::optional<Answer>& outstanding) {
  window_full_ = false;
  while (!window_full_ && !episode_over()) {
    const TimePoint close = std::min(observer_.window_end(), episode_end_);
    if (outstanding && outstanding->due <= close) {
      run_to(outstanding->due);
      if (simulation_->now() < outstanding->due) continue;  // interrupted
      take_effect(*std::exchange(outstanding, std::nullopt));
      continue;
    }
    run_to(close);
    if (simulation_->now() >= close) return;
  }
}

void Environment::on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                           const ConnectionStats& stats) {
  window_full_ |= observer_.on_event(now, ack, loss, rtt, stats);
  if (fixed_size_ && simulation_->finished()) finished_ = true;
  if (window_full_ || finished_) simulation_->interrupt();
}

WindowSummary Environment::close_window() {
  Sender& sender = simulation_->sender(0);
  return observer_.close_window(simulation_->now(), sender.rtt(), sender.stats());
}

double Environment::window_packets() {
  const ByteCount window = simulation_->sender(0).stats().congestion_window;
  return static_cast<double>(window.value()) /
         static_cast<double>(shared_.config.transport.window.packet_size.value());
}

void Environment::run_to(TimePoint until) {
  while (record_series_ && series_.due() < until) {
    const TimePoint due = series_.due();
    simulation_->run_until(due);
    if (simulation_->interrupted()) return;
    series_.close();
  }
  simulation_->run_until(until);
}

// The series' windows are those of the observation, from the episode's start; where the latter have no length
// of their own, 100 ms.
void Environment::begin_series() {
  const ObservationConfig& observation = shared_.config.observation;
  const Duration window =
      observation.window_kind == WindowKind::kTime ? observation.window : Duration::from_ms(100);
  const Duration head = Duration::from_ns(shared_.config.flows[0].start.ns() % window.ns());
  series_.begin(*simulation_, shared_.config.flows, TimePoint::zero() + (head.is_zero() ? window : head),
                window, shared_.config.transport.window.packet_size);
}

void Environment::record(const WindowSummary& summary, double reward, bool skipped) {
  series_.on_observed(0, reward, summary.mean_rtt, skipped);
  if (simulation_->now() >= series_.due()) series_.close();
}

EpisodeReport Environment::finish() {
  EpisodeReport report;
  report.seed = seed_;
  report.scenario_index = scenario_;
  report.scenario = shared_.scenarios.name(scenario_);
  report.steps = steps_;
  report.episode_return = return_;
  report.skipped_observations = skipped_;
  report.terminated = finished_;
  report.length_ms = simulation_->now().to_ms();
  simulation_->sender(0).set_observer(nullptr);
  const auto outcomes = simulation_->finish();
  if (record_series_) report.series = series_.finish();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const SchemeConfig& scheme = shared_.config.flows[i].controller;
    report.flows.push_back(report_flow(static_cast<std::int32_t>(i), scheme_name(scheme), outcomes[i]));
  }
  return report;
}

}  // namespace mvfstrl
