#include "environment/local_evaluation.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "policy/apply_action.h"

namespace mvfstrl {
namespace {

constexpr std::int64_t kProgressSteps = 64;  // between two words of progress

EnvironmentConfig guarded(EnvironmentConfig config, const GuardConfig& guard) {
  if (!guard.enabled) return config;
  for (FlowConfig& flow : config.flows) {
    if (std::holds_alternative<ExternalConfig>(flow.controller)) flow.guard = guard;
  }
  return config;
}

void check(const std::vector<LocalEpisode>& episodes, const LocalOptions& options,
           const EnvironmentConfig& config) {
  const auto scenarios = static_cast<std::int32_t>(config.scenarios.size());
  if (options.num_threads < 1) {
    throw std::invalid_argument("num_threads: must be at least 1, got " +
                                std::to_string(options.num_threads));
  }
  if (!options.jobs.empty() && options.jobs.size() != config.scenarios.size()) {
    throw std::invalid_argument("jobs: need one for each of the " + std::to_string(scenarios) +
                                " scenarios, got " + std::to_string(options.jobs.size()));
  }
  for (const LocalEpisode& episode : episodes) {
    if (episode.scenario < 0 || episode.scenario >= scenarios) {
      throw std::invalid_argument("scenarios: must be 0 to " + std::to_string(scenarios - 1) + ", got " +
                                  std::to_string(episode.scenario));
    }
  }
}

}  // namespace

LocalEvaluation::LocalEvaluation(EnvironmentConfig config, std::shared_ptr<const PolicyModel> model,
                                 std::vector<LocalEpisode> episodes, const LocalOptions& options)
    : shared_(guarded(std::move(config), options.guard)),
      model_(std::move(model)),
      episodes_(std::move(episodes)),
      options_(options),
      reports_(episodes_.size()) {
  check(episodes_, options_, shared_.config);
  model_->description().require_offer(shared_.config.observation, shared_.config.actions, "policy");
  const auto probe = make_policy(model_);
  for (const std::int32_t job : options_.jobs) probe->set_job(job);
  working_ = static_cast<std::int32_t>(
      std::min(static_cast<std::size_t>(options_.num_threads), std::max<std::size_t>(episodes_.size(), 1)));
  for (std::int32_t i = working_; i > 0; --i) threads_.emplace_back([this] { work(); });
}

LocalEvaluation::~LocalEvaluation() { stop_ = true; }

bool LocalEvaluation::wait_for(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return working_ == 0; });
}

LocalProgress LocalEvaluation::progress() const { return {done_, decisions_}; }

std::vector<EpisodeReport> LocalEvaluation::reports() {
  if (!failure_) return std::move(reports_);
  const std::string episode = "episode " + std::to_string(failed_episode_) + " (seed " +
                              std::to_string(episodes_[failed_episode_].seed) + "): ";
  try {
    std::rethrow_exception(failure_);
  } catch (const std::exception& error) {
    throw std::runtime_error(episode + error.what());
  }
}

void LocalEvaluation::work() {
  Environment environment(shared_);
  environment.record_series(options_.record_series);
  environment.record_events(options_.record_events);
  std::vector<Seat> own = seats(environment);
  for (std::size_t i = next_++; i < episodes_.size() && !stop_; i = next_++) {
    try {
      reports_[i] = play(environment, own, i);
      ++done_;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      failed_episode_ = i;
      failure_ = std::current_exception();
    }
  }
  const std::lock_guard lock(mutex_);
  --working_;
  changed_.notify_all();
}

std::vector<LocalEvaluation::Seat> LocalEvaluation::seats(const Environment& environment) const {
  std::vector<Seat> result(environment.agent_count());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const FlowConfig& flow = shared_.config.flows[environment.agent(i).flow()];
    result[i].policy = make_policy(model_);
    result[i].asked = std::holds_alternative<ExternalConfig>(flow.controller);
    result[i].observation.resize(environment.observation_size());
  }
  return result;
}

EpisodeReport LocalEvaluation::play(Environment& environment, std::vector<Seat>& own, std::size_t number) {
  const LocalEpisode& episode = episodes_[number];
  for (Seat& seat : own) {
    const auto scenario = static_cast<std::size_t>(episode.scenario);
    seat.policy->set_job(options_.jobs.empty() ? -1 : options_.jobs[scenario]);
  }
  std::vector<std::int32_t> actions(own.size());
  environment.reset(episode.seed, episode.scenario);
  std::int64_t untold = 0;
  while (!environment.over() && !stop_) {
    for (std::size_t i = 0; i < own.size(); ++i) {
      const Agent& agent = environment.agent(i);
      actions[i] = own[i].asked && agent.asked() ? decide(agent, own[i]) : 0;
    }
    environment.step(actions);
    if (++untold == kProgressSteps) decisions_ += std::exchange(untold, 0);
  }
  decisions_ += untold;
  EpisodeReport report = environment.finish();
  report.episode = static_cast<std::int64_t>(number);
  return report;
}

std::int32_t LocalEvaluation::decide(const Agent& agent, Seat& seat) {
  if (agent.result().first) seat.policy->reset();
  agent.write_observation(seat.observation);
  if (agent.guard() == nullptr) return seat.policy->act(seat.observation);
  return finite_action(*seat.policy, seat.observation);
}

}  // namespace mvfstrl
