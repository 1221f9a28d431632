// One real connection under our control: what its transport tells (ledger.h) drives a controller, is watched,
// cut into observation windows and paid for, and an agent's answers change the window. It has no clock, no
// thread and does no I/O: the host says what time it is, since the session's construction or any other moment
// that stays the same; time that runs backwards stands still.
//
//     session.start(now);
//     while (session.writable() > 0 && pace permits)  session.packet_sent(now, packet);
//     on an acknowledgement, or what the transport finds lost:
//       session.rtt_sample(...);  session.packet_acked(...);  session.packet_lost(...);  session.flush(now);
//     at session.next_timer(), and after flush():
//       if (session.poll(now)) ask(session.observation(), session.step());
//     when the answer is there:
//       session.answer(now, action);
//     session.finish(now);
//
// An agent's connection never waits for its answers. Windows that close while one is outstanding are skipped
// as in virtual time (environment/environment.h): nobody is asked, they are counted, and their rewards go to
// the step under way. A window ends at its own time, however late the host comes by; nothing that happens
// later is in it. A policy of the session's own answers when the host comes by, so a host that stalls leaves
// skipped windows behind as well.
//
// Beside a guarded agent, an answer that is not there in time is given up: it counts as late, and what comes
// for it afterwards is ignored.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/delay_histogram.h"
#include "common/rng.h"
#include "congestion/factory.h"
#include "congestion/mirrored.h"
#include "host/ledger.h"
#include "host/series.h"
#include "observe/action_set.h"
#include "observe/observer.h"
#include "observe/reward.h"
#include "observe/step_account.h"
#include "policy/guarded_controller.h"
#include "policy/policy.h"

namespace mvfstrl {

struct SessionConfig {
  ControllerConfig controller = ExternalConfig{};  // ExternalConfig: an agent drives
  bool random_actions = false;                     // an agent that answers by lot
  bool mirror = false;                             // instead, the transport's own controller: only watched
  WindowLimits limits;                             // of the window
  std::optional<GuardConfig> guard;                // beside an agent...
  WindowLimits fallback_limits;                    // ...and of the window in its fall-back's hands
  std::optional<bool> pacing;                      // none: where the controller wants it
  ObservationConfig observation;
  ActionConfig actions;
  RewardConfig reward = LogRatioReward{};
  std::int32_t persistent_congestion_threshold = 3;
  std::optional<Duration> series;  // the length of its windows; none: no series is recorded
};

class Session final : private GuardLog {
 public:
  // `controller_rng` is for controllers that draw lots, `action_rng` for random actions. `model`: the agent's
  // answers come from this policy, in the session itself; `job`: the index of the connection's scenario in
  // its training, -1 for none. Throws std::invalid_argument naming the bad item, PolicyFileError for a policy
  // that was made for other observations or actions.
  explicit Session(const SessionConfig& config, Rng controller_rng = Rng(), Rng action_rng = Rng(),
                   std::shared_ptr<const PolicyModel> model = nullptr, std::int32_t job = -1);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The first window begins. Once.
  void start(TimePoint now);
  // The last one ends, and the last step with it: terminated if the transfer is `complete`, else truncated.
  void finish(TimePoint now, bool complete = false);

  // ---- from the transport
  void packet_sent(TimePoint now, const HostedPacket& packet);
  void packet_acked(std::uint64_t number) { ledger_.packet_acked(number); }
  void packet_lost(std::uint64_t number) { ledger_.packet_lost(number); }
  void packet_discarded(std::uint64_t number) { ledger_.packet_discarded(number); }
  void shrink_flight(ByteCount bytes) { ledger_.shrink_flight(bytes); }
  void rtt_sample(Duration latest, Duration ack_delay) { ledger_.rtt_sample(latest, ack_delay); }
  void probe_timeout() { ledger_.probe_timeout(); }
  void bytes_received(ByteCount bytes) { ledger_.bytes_received(bytes); }
  // One event for all that was acknowledged and lost since the last one. False: nothing was.
  bool flush(TimePoint now);
  // Where the transport's own controller is only watched: the window that it has come to. Before start(),
  // and before each flush().
  void mirror_window(ByteCount window);
  // The application ran out of data (true), or has some again.
  void app_idle(TimePoint now, bool idle) { controller_->set_app_idle(idle, tick(now)); }

  // ---- to the transport
  ByteCount congestion_window() const { return controller_->congestion_window(); }
  ByteCount bytes_in_flight() const { return ledger_.stats().bytes_in_flight; }
  ByteCount writable() const;
  // How the window is to be spread over time; none: all of it may leave at once.
  const std::optional<Pace>& pace() const { return pace_; }
  // When to poll(): a window ends, or patience with an answer does; never() for none.
  TimePoint next_timer() const;

  // ---- to and from who answers
  // Closes what is due. True, once an observation, if somebody else is to answer it.
  bool poll(TimePoint now);
  // Of the latest window that was not skipped, and the step that it ends. `observation_number` counts them
  // from 1.
  std::span<const float> observation() const { return observation_; }
  const StepResult& step() const { return step_; }
  std::int64_t observation_number() const { return observation_number_; }
  // The answer to the latest observation, or to number `number` if that is said; takes effect at once.
  // `latency` none: since the window's end. kNothingFinite for an answer that is none, where there is a
  // guard. False, and counted: nobody waits for it (any more). Throws std::invalid_argument for an action
  // that there is not.
  bool answer(TimePoint now, std::int32_t action, std::optional<Duration> latency = std::nullopt,
              std::optional<std::int64_t> number = std::nullopt);

  // ---- so far
  bool started() const { return state_ != State::kWaiting; }
  bool running() const { return state_ == State::kRunning; }
  TimePoint start_time() const { return start_; }
  const CongestionController& controller() const { return *controller_; }
  const PacketLedger& ledger() const { return ledger_; }
  const StepAccount& account() const { return account_; }
  // Null without one.
  const Guard* guard() const { return guarded_ ? &guarded_->guard() : nullptr; }
  const std::vector<GuardEvent>& guard_events() const { return guard_events_; }
  // From a window's end to its answer; of those given up, how long they were waited for.
  const DelayHistogram& latency() const { return latency_; }
  std::int64_t unasked_answers() const { return unasked_answers_; }
  // That its own policy gave.
  std::int64_t own_answers() const { return own_answers_; }
  // Null where none is recorded.
  const SessionSeries* series() const { return series_ ? &*series_ : nullptr; }

 private:
  enum class State : std::uint8_t { kWaiting, kRunning, kDone };

  void on_guard_event(const GuardEvent& event) override { guard_events_.push_back(event); }
  TimePoint tick(TimePoint now);
  void close_series(TimePoint until);
  const ConnectionStats& stats();
  TimePoint patience_end() const;
  void close_due(TimePoint now, bool at_now);
  void close_window(TimePoint end, bool over = false, bool complete = false);
  void end_step(TimePoint at, bool over);
  void answer_alone();
  void take_effect(TimePoint at, std::int32_t action, Duration latency);

  ActionSet actions_;
  Reward reward_;
  Observer observer_;
  PacketLedger ledger_;
  std::unique_ptr<CongestionController> controller_;
  GuardedController* guarded_ = nullptr;    // the controller, where it is one
  MirroredController* mirrored_ = nullptr;  // the same
  bool agent_, random_, paced_;
  Duration max_latency_;  // where there is a guard
  Rng action_rng_;
  std::unique_ptr<Policy> policy_;  // null: somebody else answers

  State state_ = State::kWaiting;
  TimePoint now_, start_;
  TimePoint window_start_;
  std::optional<TimePoint> asked_;  // when the observation was made whose answer is outstanding
  bool fresh_ = false;              // poll() has not told of it yet
  std::optional<Pace> pace_;
  std::vector<float> observation_;
  StepResult step_;
  StepAccount account_;
  std::int64_t observation_number_ = 0;
  std::int64_t unasked_answers_ = 0;
  std::int64_t own_answers_ = 0;
  DelayHistogram latency_;
  std::vector<GuardEvent> guard_events_;
  std::optional<SessionSeries> series_;
};

}  // namespace mvfstrl
