#include "host/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy/apply_action.h"
#include "policy/test_network.h"

namespace mvfstrl {
namespace {

constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }
constexpr ByteCount kFull{1252};
constexpr std::int32_t kHalve = 1, kDouble = 4;  // of the default action set

// A session and a path of 40 ms, on which every packet is acknowledged.
struct Connection {
  explicit Connection(const SessionConfig& config = {}, std::shared_ptr<const PolicyModel> model = nullptr)
      : session(config, Rng(1), Rng(2), std::move(model)) {
    session.start(at(0));
  }

  // Sends and acknowledges one packet at `ms`.
  void exchange(std::int64_t ms) {
    session.packet_sent(at(ms - 40), {.number = number, .size = kFull});
    session.rtt_sample(Duration::from_ms(40), Duration::zero());
    session.packet_acked(number++);
    session.flush(at(ms));
  }

  Session session;
  std::uint64_t number = 0;
};

SessionConfig guarded(const GuardConfig& guard) {
  SessionConfig config;
  config.guard = guard;
  config.limits.maximum_packets = 2000;
  return config;
}

// Two that send alike; one of them only watches a transport whose own window is what the other's CUBIC does.
TEST(Session, AMirrorSeesAndEarnsWhatTheControllerItMirrorsWould) {
  SessionConfig config;
  config.controller = CubicConfig{};
  Connection driven(config);
  config.mirror = true;
  Connection watched(config);
  EXPECT_EQ(watched.session.congestion_window(), driven.session.congestion_window());
  for (std::int64_t ms = 50; ms < 1000; ms += 10) {
    driven.exchange(ms);
    watched.session.mirror_window(driven.session.congestion_window());
    watched.exchange(ms);
    EXPECT_FALSE(driven.session.poll(at(ms)));
    EXPECT_FALSE(watched.session.poll(at(ms)));  // nobody is asked
  }
  EXPECT_GT(watched.session.congestion_window(), kFull * 20);
  ASSERT_EQ(watched.session.observation_number(), 9);
  EXPECT_TRUE(std::ranges::equal(watched.session.observation(), driven.session.observation()));
  EXPECT_EQ(watched.session.account().episode_return(), driven.session.account().episode_return());
  EXPECT_FALSE(watched.session.pace());
  EXPECT_THROW(driven.session.mirror_window(kFull), std::logic_error);
}

TEST(Session, AMirrorTakesNoActionsNoPaceAndNoGuard) {
  SessionConfig config = guarded(GuardConfig{});
  config.mirror = config.pacing.emplace(true);
  Connection c(config);
  c.exchange(50);
  EXPECT_FALSE(c.session.pace());
  EXPECT_EQ(c.session.guard(), nullptr);
  EXPECT_FALSE(c.session.poll(at(100)));
  EXPECT_FALSE(c.session.answer(at(110), kDouble));
  EXPECT_EQ(c.session.congestion_window(), config.limits.initial());
  config.random_actions = true;
  EXPECT_THROW(Session{config}, std::invalid_argument);
}

TEST(Session, AsksOnceAWindowAndTheAnswerTakesEffectAtOnce) {
  Connection c;
  c.exchange(50);
  EXPECT_EQ(c.session.next_timer(), at(100));
  EXPECT_FALSE(c.session.poll(at(99)));
  EXPECT_TRUE(c.session.poll(at(100)));
  EXPECT_FALSE(c.session.poll(at(101)));  // it has been told
  EXPECT_TRUE(c.session.step().first);
  EXPECT_EQ(c.session.observation_number(), 1);
  EXPECT_TRUE(c.session.answer(at(120), kDouble));
  EXPECT_EQ(c.session.congestion_window(), kFull * 20);
  EXPECT_EQ(c.session.writable(), kFull * 20);
  EXPECT_TRUE(c.session.poll(at(200)));
  EXPECT_FALSE(c.session.step().first);
  EXPECT_EQ(c.session.account().steps(), 1);
  EXPECT_EQ(c.session.latency().count(), 1U);
}

TEST(Session, WindowsThatCloseWhileAnAnswerIsOutstandingAreSkippedAndTheirRewardsKept) {
  Connection patient, skipping;
  for (Connection* c : {&patient, &skipping}) c->session.poll(at(100));
  patient.session.answer(at(100), 0);
  for (const std::int64_t close : {200, 300, 400}) {
    for (Connection* c : {&patient, &skipping}) {
      c->exchange(close - 10);
      c->session.poll(at(close));
    }
    patient.session.answer(at(close), 0);
  }
  EXPECT_EQ(patient.session.account().steps(), 3);
  EXPECT_EQ(skipping.session.account().steps(), 0);
  EXPECT_EQ(skipping.session.observation_number(), 1);
  EXPECT_TRUE(skipping.session.answer(at(410), 0));
  skipping.exchange(450);
  patient.exchange(450);
  EXPECT_TRUE(skipping.session.poll(at(500)));
  patient.session.poll(at(500));
  EXPECT_EQ(skipping.session.step().skipped, 3);
  EXPECT_EQ(skipping.session.account().skipped(), 3);
  EXPECT_DOUBLE_EQ(skipping.session.step().reward, patient.session.account().episode_return());
}

TEST(Session, AnAnswerAtAWindowsEndIsInTimeForItAndLaterOnesAreNot) {
  Connection in_time, late;
  for (Connection* c : {&in_time, &late}) c->session.poll(at(100));
  EXPECT_TRUE(in_time.session.answer(at(200), kHalve));
  EXPECT_TRUE(in_time.session.poll(at(200)));
  EXPECT_EQ(in_time.session.step().skipped, 0);
  EXPECT_TRUE(late.session.answer(at(201), kHalve));  // closes what was due first
  EXPECT_FALSE(late.session.poll(at(201)));
  EXPECT_TRUE(late.session.poll(at(300)));
  EXPECT_EQ(late.session.step().skipped, 1);
}

TEST(Session, WindowsEndAtTheirTimeHoweverLateTheHostComesBy) {
  Connection c;
  c.session.poll(at(100));
  c.session.answer(at(100), 0);
  EXPECT_TRUE(c.session.poll(at(630)));  // five windows later
  EXPECT_EQ(c.session.observation_number(), 2);
  EXPECT_EQ(c.session.next_timer(), at(700));
  c.session.answer(at(640), 0);
  c.session.poll(at(700));
  EXPECT_EQ(c.session.step().skipped, 4);
}

TEST(Session, TimeThatRunsBackwardsStandsStill) {
  Connection c;
  c.session.packet_sent(at(90), {.number = 0, .size = kFull});
  c.session.packet_sent(at(20), {.number = 1, .size = kFull});
  c.session.packet_acked(1);
  c.session.flush(at(10));
  EXPECT_EQ(c.session.ledger().stats().packets_acked, 1U);
  EXPECT_FALSE(c.session.poll(at(50)));
  for (int i = 0; i < 5; ++i) c.session.poll(at(100));
  EXPECT_EQ(c.session.observation_number(), 1);
}

TEST(Session, AnswersThatNobodyWaitsForAreCounted) {
  Connection c;
  EXPECT_FALSE(c.session.answer(at(10), 0));
  c.session.poll(at(100));
  EXPECT_FALSE(c.session.answer(at(110), kDouble, std::nullopt, 7));  // to another observation
  EXPECT_TRUE(c.session.answer(at(110), 0, std::nullopt, 1));
  EXPECT_FALSE(c.session.answer(at(111), kDouble));
  EXPECT_EQ(c.session.unasked_answers(), 3);
  EXPECT_EQ(c.session.congestion_window(), kFull * 10);
  EXPECT_THROW(c.session.answer(at(112), 5), std::invalid_argument);
  EXPECT_THROW(c.session.answer(at(112), kNothingFinite), std::invalid_argument);
}

TEST(Session, ItsEndTruncatesTheLastStepOrCompletesIt) {
  Connection cut, complete;
  for (Connection* c : {&cut, &complete}) {
    c->session.poll(at(100));
    c->session.answer(at(100), 0);
    c->exchange(150);
  }
  cut.session.finish(at(160));
  complete.session.finish(at(160), true);
  EXPECT_TRUE(cut.session.step().truncated);
  EXPECT_FALSE(cut.session.step().terminated);
  EXPECT_TRUE(complete.session.step().terminated);
  EXPECT_FALSE(complete.session.step().truncated);
  EXPECT_EQ(cut.session.observation_number(), 2);
  EXPECT_TRUE(cut.session.next_timer().is_never());
  EXPECT_FALSE(cut.session.poll(at(5'000)));
  EXPECT_FALSE(cut.session.answer(at(5'000), 0));
  cut.session.finish(at(6'000));
  EXPECT_EQ(cut.session.account().steps(), 1);
  cut.exchange(7'000);  // a transport goes on for a while
  EXPECT_EQ(cut.session.ledger().stats().packets_acked, 2U);
}

TEST(Session, AnEndAtAWindowsEndMakesNoStepOfItsOwn) {
  Connection c;
  c.session.poll(at(100));
  c.session.answer(at(100), 0);
  c.session.poll(at(200));
  c.session.finish(at(200));
  EXPECT_EQ(c.session.observation_number(), 2);
  EXPECT_TRUE(c.session.step().truncated);
  EXPECT_EQ(c.session.account().steps(), 1);
  // Unless windows were skipped, whose rewards belong to somebody.
  Connection skipping;
  skipping.session.poll(at(100));
  skipping.session.poll(at(200));
  skipping.session.finish(at(200));
  EXPECT_EQ(skipping.session.observation_number(), 2);
  EXPECT_EQ(skipping.session.step().skipped, 1);
  EXPECT_TRUE(skipping.session.step().truncated);
}

TEST(Session, StartsOnce) {
  Session session{SessionConfig{}};
  EXPECT_THROW(session.finish(at(0)), std::logic_error);
  EXPECT_FALSE(session.poll(at(1'000)));
  session.start(at(1'000));
  EXPECT_THROW(session.start(at(1'001)), std::logic_error);
  EXPECT_EQ(session.next_timer(), at(1'100));
}

TEST(Session, AClassicControllersWindowsAreStepsThatNobodyAnswers) {
  SessionConfig config;
  config.controller = CubicConfig{};
  Connection c(config);
  for (std::int64_t ms = 50; ms < 1'000; ms += 10) {
    c.exchange(ms);
    EXPECT_FALSE(c.session.poll(at(ms)));
  }
  EXPECT_EQ(c.session.account().steps(), 8);
  EXPECT_GT(c.session.congestion_window(), kFull * 50);
  EXPECT_FALSE(c.session.answer(at(1'000), 0));
}

TEST(Session, PacesWhereTheControllerWantsItOrTheHostSays) {
  SessionConfig config;
  config.controller = BbrConfig{};
  Connection bbr(config);
  for (std::int64_t ms = 50; ms < 500; ms += 10) bbr.exchange(ms);
  EXPECT_TRUE(bbr.session.pace().has_value());
  config.pacing = false;
  Connection unpaced(config);
  for (std::int64_t ms = 50; ms < 500; ms += 10) unpaced.exchange(ms);
  EXPECT_FALSE(unpaced.session.pace().has_value());
  config.controller = CubicConfig{};
  config.pacing = true;
  Connection cubic(config);
  EXPECT_FALSE(cubic.session.pace().has_value());  // without an RTT
  cubic.exchange(50);
  ASSERT_TRUE(cubic.session.pace().has_value());
  EXPECT_EQ(cubic.session.pace()->over, Duration::from_ms(40));
}

// ---- the guard

TEST(Session, AnAnswerThatDoesNotComeInTimeIsGivenUp) {
  Connection c(guarded({.max_latency = Duration::from_ms(60)}));
  c.session.poll(at(100));
  EXPECT_EQ(c.session.next_timer(), at(160));
  c.session.poll(at(160));
  EXPECT_EQ(c.session.guard()->counters().fallbacks[0], 1);
  EXPECT_EQ(c.session.guard()->driver(), Driver::kFallback);
  EXPECT_EQ(c.session.controller().phase_name(), "slow_start");
  EXPECT_FALSE(c.session.answer(at(170), kDouble));
  EXPECT_EQ(c.session.unasked_answers(), 1);
  ASSERT_EQ(c.session.guard_events().size(), 1U);
  EXPECT_EQ(c.session.guard_events()[0].now, at(160));
  EXPECT_TRUE(c.session.poll(at(200)));  // the next is asked, and shadowed
  EXPECT_EQ(c.session.step().skipped, 0);
}

TEST(Session, AnAnswerWithoutNumbersIsAFault) {
  Connection c(guarded({}));
  c.session.poll(at(100));
  EXPECT_TRUE(c.session.answer(at(101), kNothingFinite));
  EXPECT_EQ(c.session.guard()->counters().fallbacks[1], 1);
}

TEST(Session, APolicyThatStaysAtABoundIsReplacedAndComesBack) {
  Connection c(guarded({.pinned_windows = 5, .return_after = 3}));
  std::int64_t ms = 0;
  const auto decide = [&](std::int32_t action) {
    c.session.poll(at(ms += 100));
    c.session.answer(at(ms), action);
  };
  for (int i = 0; i < 20 && c.session.guard()->driver() == Driver::kPolicy; ++i) decide(kDouble);
  EXPECT_EQ(c.session.guard()->counters().fallbacks[2], 1);
  while (ms < 10'000 && c.session.guard()->driver() == Driver::kFallback) decide(kHalve);
  EXPECT_EQ(c.session.guard()->counters().returns, 1);
  EXPECT_EQ(c.session.guard_events().size(), 2U);
}

// ---- a policy in the session

std::shared_ptr<const PolicyModel> tiny_policy() {
  return std::make_shared<PolicyModel>(
      test::random_policy({.layers = 1, .hidden_size = 16, .lstm_layers = 1}), PolicyOptions{});
}

TEST(Session, APolicyOfItsOwnAnswersWhatItIsShown) {
  const auto model = tiny_policy();
  SessionConfig config;
  Connection local(config, model), remote(config);
  const auto policy = make_policy(model);
  for (std::int64_t ms = 50; ms < 3'000; ms += 50) {
    for (Connection* c : {&local, &remote}) c->exchange(ms);
    EXPECT_FALSE(local.session.poll(at(ms)));
    if (remote.session.poll(at(ms))) remote.session.answer(at(ms), policy->act(remote.session.observation()));
    EXPECT_EQ(local.session.congestion_window(), remote.session.congestion_window()) << ms;
  }
  EXPECT_EQ(local.session.account().steps(), 28);
  EXPECT_EQ(local.session.account().episode_return(), remote.session.account().episode_return());
  EXPECT_FALSE(local.session.answer(at(3'000), 0));  // it needs no help
}

TEST(Session, ALocalPolicyOfAStalledHostIsLate) {
  SessionConfig config = guarded({.max_latency = Duration::from_ms(150)});
  Connection c(config, tiny_policy());
  c.session.poll(at(100));
  EXPECT_EQ(c.session.guard()->counters().decisions, 1);
  c.session.poll(at(1'050));
  EXPECT_EQ(c.session.guard()->counters().fallbacks[0], 1);
  EXPECT_GE(c.session.account().skipped(), 3);
}

TEST(Session, ALocalPolicyWithoutNumbersHandsOver) {
  PolicyFile file = test::random_policy({.layers = 1, .hidden_size = 16, .lstm_layers = 1});
  file.weights.head.bias[0] = std::numeric_limits<float>::quiet_NaN();
  Connection c(guarded({}), std::make_shared<PolicyModel>(file, PolicyOptions{}));
  c.session.poll(at(100));
  EXPECT_EQ(c.session.guard()->counters().fallbacks[1], 1);
}

TEST(Session, RefusesWhatDoesNotFit) {
  const auto message = [](const SessionConfig& config, std::shared_ptr<const PolicyModel> model) {
    try {
      Session session(config, Rng(), Rng(), std::move(model));
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  SessionConfig config;
  config.observation.history = 3;
  EXPECT_NE(message(config, tiny_policy()).find("another observation or action spec"), std::string::npos);
  config = {};
  config.controller = CubicConfig{};
  EXPECT_NE(message(config, tiny_policy()).find("policy: there is no agent"), std::string::npos);
  config.random_actions = true;
  EXPECT_NE(message(config, nullptr).find("random_actions"), std::string::npos);
  EXPECT_EQ(message({}, nullptr), "accepted");
}

}  // namespace
}  // namespace mvfstrl
