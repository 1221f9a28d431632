// An episode in virtual time, its events told to a real connection's session, and what either saw.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "environment/environment.h"
#include "environment/hosted_session.h"

namespace mvfstrl {

inline constexpr std::uint64_t kReplaySeed = 7;

inline EnvironmentConfig lossy_config() {
  EnvironmentConfig config;
  config.scenarios[0].loss = Range::constant(0.005);
  config.scenarios[0].queue.packets = Range::constant(40);
  config.transport.handshake_packets = 0;
  config.episode = Duration::from_ms(8'050);  // the last window is cut
  config.action_delay = ConstantDelay{Duration::from_ms(5)};
  return config;
}

struct Seen {
  StepResult step;
  std::vector<float> observation;
  bool operator==(const Seen& o) const {
    return step.reward == o.step.reward && step.terminated == o.step.terminated &&
           step.truncated == o.step.truncated && step.skipped == o.step.skipped &&
           step.first == o.step.first && step.active == o.step.active && observation == o.observation;
  }
};

// An episode in virtual time, with actions by lot.
struct Episode {
  std::vector<Seen> seen;
  EpisodeReport report;

  explicit Episode(const EnvironmentConfig& config) {
    const EnvironmentShared shared(config);
    Environment environment(shared);
    environment.record_events(true);
    environment.record_series(true);
    environment.reset(kReplaySeed, 0);
    Rng rng(3);
    look(environment);
    while (!environment.over()) {
      environment.step(static_cast<std::int32_t>(rng.below(shared.actions.size())));
      look(environment);
    }
    report = environment.finish();
  }

 private:
  void look(const Environment& environment) {
    seen.push_back({environment.agent(0).result(), std::vector<float>(environment.observation_size())});
    environment.write_observation(seen.back().observation);
  }
};

// Who tells a session what happened, in its own words.
class Teller {
 public:
  explicit Teller(Session& session) : session_(session) {}

  void sent(TimePoint at, std::uint64_t number, ByteCount size, ByteCount again) {
    session_.packet_sent(at, {.number = number, .size = size, .retransmitted = again});
  }
  void received(ByteCount bytes) { session_.bytes_received(bytes); }
  void rtt(Duration latest, Duration ack_delay) { session_.rtt_sample(latest, ack_delay); }
  void acked(std::uint64_t number) { session_.packet_acked(number); }
  void lost(std::uint64_t number) { session_.packet_lost(number); }
  void probe_timeout() { session_.probe_timeout(); }
  bool flush(TimePoint at) { return session_.flush(at); }
  void before_poll() {}

 private:
  Session& session_;
};

// Feeds a flow's log to a session through a teller, as a transport would.
template <class Host>
class Replay {
 public:
  // `by_lot`: the session draws its actions itself.
  Replay(Session& session, Host& host, const EventLog& log, ByteCount packet_size, bool by_lot)
      : session_(session), host_(host), log_(log), packet_size_(packet_size), by_lot_(by_lot) {}

  std::vector<Seen> run(TimePoint end) {
    session_.start(TimePoint::zero());
    for (const EventLog::Kind kind : log_.order()) {
      switch (kind) {
        case EventLog::Kind::kSent:
          sent(log_.sent()[sent_++]);
          break;
        case EventLog::Kind::kAck:
          ack(log_.acks()[acks_++]);
          break;
        case EventLog::Kind::kLost:
          lost(log_.lost()[lost_++]);
          break;
        case EventLog::Kind::kMetrics:
          metrics(log_.metrics()[metrics_++]);
          break;
        case EventLog::Kind::kAction:
          action(log_.actions()[actions_++]);
          break;
        case EventLog::Kind::kState:
          break;
      }
    }
    polls_until(end);
    host_.before_poll();
    session_.finish(end);
    look();
    return std::move(seen_);
  }

 private:
  void look() {
    if (session_.observation_number() == looked_at_) return;
    looked_at_ = session_.observation_number();
    const auto observation = session_.observation();
    seen_.push_back({session_.step(), {observation.begin(), observation.end()}});
  }
  void polls_until(TimePoint time) {
    host_.before_poll();
    while (session_.next_timer() < time) {
      session_.poll(session_.next_timer());
      look();
    }
  }
  // What an ACK that is no event left behind goes first.
  void at(TimePoint time) {
    if (pending_ack_ && *pending_ack_ != time) host_.flush(*pending_ack_);
    pending_ack_.reset();
    polls_until(time);
  }

  void sent(const EventLog::Sent& packet) {
    if (pending_ack_) at(packet.at);
    polls_until(packet.at);
    const ByteCount again = std::min(retransmit_, packet_size_);
    retransmit_ -= again;
    host_.sent(packet.at, packet.number, ByteCount(packet.bytes), again);
    in_flight_[packet.number] = packet.at;
  }
  void ack(const EventLog::Ack& frame) {
    at(frame.at);
    pending_ack_ = frame.at;
    host_.received(ByteCount(frame.bytes));
    const auto ranges = std::span(log_.ranges()).subspan(frame.first_range, frame.ranges);
    for (const AckRange& range : ranges) {
      for (std::uint64_t number = range.first; number <= range.last; ++number) {
        const auto entry = in_flight_.find(number);
        if (entry == in_flight_.end()) continue;
        if (number == ranges.front().last) {
          const Duration elapsed = frame.at - entry->second;
          host_.rtt(Duration::from_us((elapsed.ns() + 999) / 1000), frame.ack_delay);
        }
        host_.acked(number);
        in_flight_.erase(entry);
      }
    }
  }
  void lost(const EventLog::Lost& packet) {
    polls_until(packet.at);
    host_.lost(packet.number);
    in_flight_.erase(packet.number);
    retransmit_ += ByteCount(packet.bytes);
  }
  void metrics(const EventLog::Metrics& expected) {
    polls_until(expected.at);
    if (expected.pto_count > probe_timeouts_) {
      host_.probe_timeout();
    } else {
      ASSERT_TRUE(host_.flush(expected.at));
      pending_ack_.reset();
    }
    probe_timeouts_ = expected.pto_count;
    const auto rate = session_.controller().pacing_rate();
    ASSERT_EQ(session_.congestion_window().value(), expected.congestion_window)
        << "at " << expected.at.to_ms();
    ASSERT_EQ(session_.bytes_in_flight().value(), expected.bytes_in_flight);
    ASSERT_EQ(session_.ledger().rtt().smoothed(), expected.smoothed_rtt);
    ASSERT_EQ(rate ? rate->bps() : 0.0, expected.pacing_bps);
  }
  void action(const EventLog::Action& action) {
    at(action.at);
    if (by_lot_) return;
    ASSERT_TRUE(session_.answer(action.at, static_cast<std::int32_t>(action.action)));
    ASSERT_EQ(session_.congestion_window().value(), action.congestion_window);
  }

  Session& session_;
  Host& host_;
  const EventLog& log_;
  ByteCount packet_size_;
  bool by_lot_;
  std::size_t sent_ = 0, acks_ = 0, lost_ = 0, metrics_ = 0, actions_ = 0;
  std::unordered_map<std::uint64_t, TimePoint> in_flight_;
  std::optional<TimePoint> pending_ack_;
  ByteCount retransmit_;
  std::int64_t probe_timeouts_ = 0;
  std::int64_t looked_at_ = 0;
  std::vector<Seen> seen_;
};

template <class Host = Teller>
struct Comparison {
  Episode virtual_time;
  std::unique_ptr<Session> session;
  std::vector<Seen> seen;

  explicit Comparison(const EnvironmentConfig& config)
      : virtual_time(config),
        session(make_session(config, {.seed = kReplaySeed, .guard = config.flows[0].guard, .series = true})) {
    Host host(*session);
    Replay<Host> replay(*session, host, virtual_time.report.events[0], config.transport.window.packet_size,
                        std::holds_alternative<RandomActions>(config.flows[0].controller));
    seen = replay.run(TimePoint::zero() + config.episode);
  }
};

template <class Host>
void expect_same(const Comparison<Host>& both) {
  const auto& expected = both.virtual_time.seen;
  ASSERT_GT(expected.size(), 10U);
  ASSERT_EQ(both.seen.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    for (std::size_t k = 0; k < expected[i].observation.size(); ++k) {
      ASSERT_EQ(both.seen[i].observation[k], expected[i].observation[k]) << "element " << k << " of " << i;
    }
    EXPECT_EQ(both.seen[i].step.reward, expected[i].step.reward) << i;
    ASSERT_TRUE(both.seen[i] == expected[i]) << i;
  }
  const EpisodeReport& report = both.virtual_time.report;
  EXPECT_EQ(both.session->account().episode_return(), report.episode_return);
  EXPECT_EQ(both.session->account().steps(), report.steps);
  EXPECT_EQ(both.session->account().skipped(), report.skipped_observations);
  EXPECT_EQ(both.session->account().return_terms().delay, report.return_terms.delay);
  EXPECT_EQ(both.session->ledger().counters().unknown, 0);
  EXPECT_EQ(both.session->ledger().counters().repeated, 0);
}

}  // namespace mvfstrl
