#include "host/session.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "policy/apply_action.h"

namespace mvfstrl {
namespace {

bool is_agent(const SessionConfig& config) {
  return !config.mirror && std::holds_alternative<ExternalConfig>(config.controller);
}

bool is_guarded(const SessionConfig& config) {
  return is_agent(config) && !config.random_actions && config.guard && config.guard->enabled;
}

std::unique_ptr<CongestionController> make_controller(const SessionConfig& config, Rng rng) {
  if (config.mirror) return std::make_unique<MirroredController>(config.limits);
  if (!is_guarded(config)) return make_controller(config.controller, config.limits, rng);
  return std::make_unique<GuardedController>(
      *config.guard, config.limits, std::get<ExternalConfig>(config.controller), config.fallback_limits, rng);
}

}  // namespace

Session::Session(const SessionConfig& config, Rng controller_rng, Rng action_rng,
                 std::shared_ptr<const PolicyModel> model, std::int32_t job)
    : actions_(config.actions, config.limits.packet_size),
      reward_(config.reward),
      observer_(config.observation, actions_.size()),
      ledger_(config.persistent_congestion_threshold),
      controller_(make_controller(config, controller_rng)),
      agent_(is_agent(config)),
      random_(config.random_actions),
      paced_(!config.mirror && config.pacing.value_or(controller_->wants_pacing())),
      action_rng_(action_rng),
      observation_(observer_.size()) {
  if (random_ && !agent_) throw std::invalid_argument("random_actions: a classic controller takes none");
  if (config.series) series_.emplace(*config.series, config.limits.packet_size);
  if (config.mirror) mirrored_ = &static_cast<MirroredController&>(*controller_);
  if (is_guarded(config)) {
    guarded_ = &static_cast<GuardedController&>(*controller_);
    guarded_->set_log(this);
    max_latency_ = config.guard->max_latency;
  }
  if (model == nullptr) return;
  if (!agent_ || random_)
    throw std::invalid_argument("policy: there is no agent whose answers it could give");
  model->description().require_offer(config.observation, config.actions, "policy");
  policy_ = make_policy(std::move(model));
  policy_->set_job(job);
}

TimePoint Session::tick(TimePoint now) {
  now_ = std::max(now_, now);
  if (series_) close_series(now_ - Duration::from_ns(1));  // what happens now may be in the open window
  return now_;
}

void Session::close_series(TimePoint until) {
  while (running() && series_->due() <= until) series_->close(stats());
}

void Session::start(TimePoint now) {
  if (state_ != State::kWaiting) throw std::logic_error("start: a session starts once");
  start_ = window_start_ = tick(now);
  observer_.reset(start_, congestion_window());
  if (series_) series_->begin(start_);
  state_ = State::kRunning;
}

void Session::packet_sent(TimePoint now, const HostedPacket& packet) {
  const auto sent = ledger_.packet_sent(tick(now), packet);
  if (sent && controller_->wants_packet_sent()) controller_->on_packet_sent(*sent);
}

void Session::mirror_window(ByteCount window) {
  if (mirrored_ == nullptr) throw std::logic_error("mirror_window: the session has a controller of its own");
  mirrored_->set_window(window);
}

bool Session::flush(TimePoint now) {
  now = tick(now);
  close_due(now, false);
  if (!ledger_.flush(now)) return false;
  controller_->on_ack_or_loss(ledger_.ack(), ledger_.loss(), ledger_.rtt());
  if (paced_) {
    if (const auto pace = controller_->pace(ledger_.rtt())) pace_ = pace;
  }
  const bool full =
      running() && observer_.on_event(now, ledger_.ack(), ledger_.loss(), ledger_.rtt(), stats());
  ledger_.settle();
  if (full) {  // a count window
    close_window(now);
    answer_alone();
  }
  return true;
}

ByteCount Session::writable() const {
  return std::max(ByteCount::zero(), congestion_window() - bytes_in_flight());
}

// Current, the controller's window and what it admits included.
const ConnectionStats& Session::stats() {
  ledger_.set_window(congestion_window());
  return ledger_.stats();
}

TimePoint Session::patience_end() const {
  return guarded_ != nullptr && asked_ ? *asked_ + max_latency_ : TimePoint::never();
}

TimePoint Session::next_timer() const {
  if (!running()) return TimePoint::never();
  return fresh_ ? *asked_ : std::min(observer_.window_end(), patience_end());
}

bool Session::poll(TimePoint now) {
  close_due(tick(now), true);
  return std::exchange(fresh_, false);
}

// Windows that ended before `now`, or `at_now`, with the answers that were given up on the way.
void Session::close_due(TimePoint now, bool at_now) {
  const auto due = [&](TimePoint time) { return time < now || (at_now && time == now); };
  while (running()) {
    const TimePoint window_end = observer_.window_end(), patience = patience_end();
    if (patience <= window_end && due(patience)) {
      take_effect(patience, kNothingFinite, max_latency_ + Duration::from_ns(1));
    } else if (due(window_end)) {
      close_window(window_end);
    } else {
      break;
    }
  }
  answer_alone();
}

void Session::close_window(TimePoint end, bool over, bool complete) {
  const WindowSummary window = observer_.close_window(end, ledger_.rtt(), stats());
  window_start_ = end;
  const RewardTerms reward = reward_.terms(window);
  const auto close = account_.close(reward, asked_.has_value(), over, complete);
  if (series_)
    series_->on_observed(end, reward.sum(), window.mean_rtt, close == StepAccount::Close::kSkipped);
  if (close == StepAccount::Close::kSkipped) return;
  if (close == StepAccount::Close::kFirst && over) account_.truncate();
  end_step(end, over);
}

void Session::end_step(TimePoint at, bool over) {
  step_ = account_.result();
  account_.begin_step();
  observer_.write_observation(observation_);
  ++observation_number_;
  asked_.reset();
  fresh_ = false;
  if (over) {
    state_ = State::kDone;
  } else if (agent_) {
    asked_ = at;
    fresh_ = policy_ == nullptr && !random_;
  }
}

void Session::answer_alone() {
  if (!asked_ || (policy_ == nullptr && !random_)) return;
  const Duration latency = now_ - *asked_;
  if (random_) {
    take_effect(now_, static_cast<std::int32_t>(action_rng_.below(actions_.size())), latency);
    return;
  }
  ++own_answers_;
  if (observation_number_ == 1) policy_->reset();
  const std::int32_t action =
      guarded_ == nullptr ? policy_->act(observation_) : finite_action(*policy_, observation_);
  take_effect(now_, action, latency);
}

bool Session::answer(TimePoint now, std::int32_t action, std::optional<Duration> latency,
                     std::optional<std::int64_t> number) {
  const bool nothing = guarded_ != nullptr && action == kNothingFinite;
  if (!nothing && (action < 0 || static_cast<std::size_t>(action) >= actions_.size())) {
    throw std::invalid_argument("action: must be 0 to " + std::to_string(actions_.size() - 1) + ", got " +
                                std::to_string(action));
  }
  close_due(tick(now), false);
  if (!asked_ || policy_ != nullptr || random_ ||
      number.value_or(observation_number_) != observation_number_) {
    ++unasked_answers_;
    return false;
  }
  take_effect(now_, action, latency.value_or(now_ - *asked_));
  return true;
}

void Session::take_effect(TimePoint at, std::int32_t action, Duration latency) {
  latency_.add(latency);
  asked_.reset();
  fresh_ = false;
  action = apply_action(*controller_, guarded_ != nullptr, actions_, at, action, latency);
  if (series_ && action != kNoAction) series_->on_action(at, action);
  // What a fall-back does is, to the policy, a window that changes while it keeps still.
  observer_.on_action(static_cast<std::size_t>(action == kNoAction ? 0 : action), congestion_window());
}

void Session::finish(TimePoint now, bool complete) {
  if (state_ == State::kWaiting) throw std::logic_error("finish: the session has not started");
  close_due(tick(now), false);
  if (series_) close_series(now_);
  if (!running()) return;
  if (window_start_ < now_ || observation_number_ == 0) {
    close_window(now_, true, complete);
    return;
  }
  // A window has closed at this very moment: it was the last. Skipped ones make a step of their own.
  if (account_.result().skipped > 0) {
    account_.close({}, true, true, complete);
    end_step(now_, true);
    return;
  }
  step_.terminated = complete;
  step_.truncated = !complete;
  asked_.reset();
  fresh_ = false;
  state_ = State::kDone;
}

}  // namespace mvfstrl
