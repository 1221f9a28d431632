#include "environment/agent.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <string>
#include <utility>

#include "policy/apply_action.h"

namespace mvfstrl {
namespace {

enum Stream : std::uint64_t { kActionDelayStream = 201, kRandomActionStream };

Rng stream_of(std::uint64_t episode_seed, Stream stream, std::size_t agent) {
  const Rng rng(episode_seed, stream);
  return agent == 0 ? rng : rng.fork(agent);
}

Duration longest(const ActionDelayConfig& config) {
  if (const auto* constant = std::get_if<ConstantDelay>(&config)) return constant->delay;
  if (const auto* uniform = std::get_if<UniformDelay>(&config)) return uniform->high;
  const auto& samples = std::get<EmpiricalDelay>(config).samples;
  return *std::max_element(samples.begin(), samples.end());
}

bool waits_for_actions(const SchemeConfig& scheme) {
  return std::holds_alternative<ExternalConfig>(scheme) || std::holds_alternative<RandomActions>(scheme);
}

}  // namespace

Rng action_rng(std::uint64_t episode_seed, std::size_t number) {
  return stream_of(episode_seed, kRandomActionStream, number);
}

std::vector<std::size_t> agent_flows(const std::vector<FlowConfig>& flows) {
  std::vector<std::size_t> indices = {0};
  for (std::size_t i = 1; i < flows.size(); ++i) {
    if (waits_for_actions(flows[i].controller)) indices.push_back(i);
  }
  return indices;
}

void check_agents(const EnvironmentConfig& config) {
  const std::vector<std::size_t> agents = agent_flows(config.flows);
  for (const std::size_t flow : agents) {
    if (config.flows.at(flow).start >= config.episode) {
      throw std::invalid_argument("flows[" + std::to_string(flow) +
                                  "].start_ms: must be before the episode's end");
    }
  }
  if (agents.size() == 1) return;
  if (config.observation.window_kind != WindowKind::kTime) {
    throw std::invalid_argument("observation.window_kind: must be time where several flows are agents");
  }
  if (longest(config.action_delay) > config.observation.window) {
    throw std::invalid_argument(
        "action_delay: must not exceed the observation window where several flows are agents");
  }
}

Agent::Agent(const EnvironmentConfig& config, const ActionSet& actions, const Reward& reward,
             std::size_t number, std::size_t flow, bool alone)
    : config_(config),
      actions_(actions),
      reward_(reward),
      number_(number),
      flow_(flow),
      alone_(alone),
      fixed_size_(std::holds_alternative<FixedSizeApp>(config.flows.at(flow).app)),
      observer_(config.observation, actions.size()) {}

void Agent::begin_episode(Simulation& simulation, std::uint64_t episode_seed) {
  simulation_ = &simulation;
  state_ = State::kWaiting;
  finished_ = window_full_ = false;
  delay_rng_ = stream_of(episode_seed, kActionDelayStream, number_);
  action_rng_ = action_rng(episode_seed, number_);
  outstanding_.reset();
  account_ = {};
  guarded_ = nullptr;
  guard_events_.clear();
  const FlowConfig& flow = config_.flows[flow_];
  if (flow.guard && std::holds_alternative<ExternalConfig>(flow.controller)) {
    guarded_ = &static_cast<GuardedController&>(simulation.sender(flow_).controller());
    guarded_->set_log(this);
  }
}

void Agent::open(TimePoint start) {
  Sender& sender = simulation_->sender(flow_);
  observer_.reset(start, sender.stats().congestion_window);
  sender.set_observer(this);
  state_ = State::kRunning;
}

void Agent::answer(std::int32_t action) {
  const SchemeConfig& scheme = config_.flows[flow_].controller;
  if (std::holds_alternative<RandomActions>(scheme)) {
    action = static_cast<std::int32_t>(action_rng_.below(actions_.size()));
  } else if (!std::holds_alternative<ExternalConfig>(scheme)) {
    return;
  }
  const Duration latency = draw_action_delay();
  const auto& guard = config_.flows[flow_].guard;
  const Duration until = guarded_ != nullptr ? std::min(latency, guard->max_latency) : latency;
  outstanding_ = Answer{action, simulation_->now() + until, latency};
}

Duration Agent::draw_action_delay() {
  const ActionDelayConfig& config = config_.action_delay;
  if (const auto* constant = std::get_if<ConstantDelay>(&config)) return constant->delay;
  if (const auto* uniform = std::get_if<UniformDelay>(&config)) {
    return Duration::from_ms_f(delay_rng_.uniform(uniform->low.to_ms(), uniform->high.to_ms()));
  }
  const auto& samples = std::get<EmpiricalDelay>(config).samples;
  return samples[delay_rng_.below(samples.size())];
}

std::int32_t Agent::take_effect() {
  assert(outstanding_);
  const Answer answer = *std::exchange(outstanding_, std::nullopt);
  CongestionController& controller = simulation_->sender(flow_).controller();
  const std::int32_t action = apply_action(controller, guarded_ != nullptr, actions_, simulation_->now(),
                                           answer.action, answer.latency);
  // What a fall-back does is, to the policy, a window that changes while it keeps still.
  const auto shown = static_cast<std::size_t>(action == kNoAction ? 0 : action);
  observer_.on_action(shown, controller.congestion_window());
  simulation_->pump(flow_);
  return action;
}

void Agent::on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                     const ConnectionStats& stats) {
  window_full_ |= observer_.on_event(now, ack, loss, rtt, stats);
  if (fixed_size_ && simulation_->finished(flow_)) finished_ = true;
  if (alone_ && (window_full_ || finished_)) simulation_->interrupt();
}

ClosedWindow Agent::close_window(bool episode_over) {
  const TimePoint now = simulation_->now();
  Sender& sender = simulation_->sender(flow_);
  const WindowSummary summary = observer_.close_window(now, sender.rtt(), sender.stats());
  window_full_ = false;
  ClosedWindow closed;
  closed.reward = reward_.terms(summary);
  closed.mean_rtt = summary.mean_rtt;
  const FlowConfig& flow = config_.flows[flow_];
  const bool stopped = flow.stop && TimePoint::zero() + *flow.stop <= now;
  const bool over = episode_over || stopped || finished_;
  const StepAccount::Close close = account_.close(closed.reward, outstanding_.has_value(), over, finished_);
  closed.skipped = close == StepAccount::Close::kSkipped;
  if (close == StepAccount::Close::kFirst && episode_over && !alone_) account_.truncate();
  if (close != StepAccount::Close::kStep) return closed;
  if (over) state_ = State::kDone;
  outstanding_.reset();
  return closed;
}

double Agent::window_packets() const {
  const ByteCount window = simulation_->sender(flow_).stats().congestion_window;
  return static_cast<double>(window.value()) /
         static_cast<double>(config_.transport.window.packet_size.value());
}

}  // namespace mvfstrl
