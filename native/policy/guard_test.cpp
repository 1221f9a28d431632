#include "policy/guard.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr ByteCount kMin = kPacket * 2, kMax = kPacket * 2000, kPresent = kPacket * 40;
constexpr Duration kWindow = Duration::from_ms(100);

// A bound of 20 ms, 5 windows at a bound, 3 healthy decisions to come back, 12 at most.
GuardConfig tight() {
  GuardConfig config;
  config.max_latency = Duration::from_ms(20);
  config.pinned_windows = 5;
  config.return_after = 3;
  config.max_return_after = 12;
  return config;
}

// A policy that is asked every 100 ms.
struct Story : GuardLog {
  explicit Story(const GuardConfig& config = tight()) : guard(config, kMin, kMax) { guard.set_log(this); }

  Driver answers(Decision decision, int times = 1) {
    for (; times > 0; --times) {
      now += kWindow;
      guard.judge(now, decision, kPresent);
    }
    return guard.driver();
  }
  Driver asks_for(std::int64_t packets, int times = 1) {
    return answers({Duration::from_ms(5), true, kPacket * packets}, times);
  }
  Driver is_late(int times = 1) { return answers({Duration::from_us(20'001), true, kPresent}, times); }
  Driver gives_nan(int times = 1) { return answers({Duration::from_ms(5), false, kPresent}, times); }
  std::int64_t fallbacks(GuardReason reason) const {
    return guard.counters().fallbacks[static_cast<std::size_t>(reason)];
  }
  void on_guard_event(const GuardEvent& event) override { events.push_back(event); }

  Guard guard;
  TimePoint now;
  std::vector<GuardEvent> events;
};

TEST(Guard, LeavesAHealthyPolicyAlone) {
  Story story;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(story.asks_for(i % 2 == 0 ? 20 : 2000), Driver::kPolicy);
  EXPECT_EQ(story.guard.counters().decisions, 100);
  EXPECT_EQ(story.guard.counters().shadowed, 0);
  EXPECT_TRUE(story.events.empty());
  EXPECT_EQ(story.guard.fallback_time(story.now), Duration::zero());
}

TEST(Guard, TakesAnAnswerAtTheVeryBoundAndNoneAfterIt) {
  Story story;
  EXPECT_EQ(story.answers({Duration::from_ms(20), true, kPresent}), Driver::kPolicy);
  EXPECT_EQ(story.is_late(), Driver::kFallback);
  EXPECT_EQ(story.fallbacks(GuardReason::kLate), 1);
}

TEST(Guard, FallsBackAtOnceWhereAnAnswerIsNotFinite) {
  Story story;
  EXPECT_EQ(story.gives_nan(), Driver::kFallback);
  EXPECT_EQ(story.fallbacks(GuardReason::kNonFinite), 1);
}

TEST(Guard, FallsBackFromAPolicyThatStaysAtABound) {
  for (const bool top : {true, false}) {
    Story story;
    EXPECT_EQ(story.asks_for(top ? 2000 : 2, 4), Driver::kPolicy);
    EXPECT_EQ(story.asks_for(top ? 2000 : 2), Driver::kFallback);
    EXPECT_EQ(story.fallbacks(top ? GuardReason::kPinnedAtMaximum : GuardReason::kPinnedAtMinimum), 1);
  }
}

TEST(Guard, CountsWindowsAtOneBoundInARow) {
  Story story;
  story.asks_for(2000, 4);
  story.asks_for(1999);
  EXPECT_EQ(story.asks_for(2000, 4), Driver::kPolicy) << "it had left the bound";
  EXPECT_EQ(story.asks_for(2, 4), Driver::kPolicy) << "the other bound";
  EXPECT_EQ(story.asks_for(2), Driver::kFallback);
}

TEST(Guard, ASingleWindowIsNoBound) {
  Guard guard(tight(), kMax, kMax);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(guard.judge(TimePoint::from_ms(100 * i), {Duration::zero(), true, kMax}, kMax),
              Driver::kPolicy);
  }
}

TEST(Guard, LetsThePolicyBackAfterHealthyDecisionsInARow) {
  Story story;
  story.is_late();
  EXPECT_EQ(story.asks_for(50, 2), Driver::kFallback);
  EXPECT_EQ(story.gives_nan(), Driver::kFallback);
  EXPECT_EQ(story.asks_for(50, 2), Driver::kFallback) << "counted from the last bad one";
  EXPECT_EQ(story.asks_for(50), Driver::kPolicy);
  EXPECT_EQ(story.guard.counters().returns, 1);
  EXPECT_EQ(story.guard.counters().decisions, 7);
  EXPECT_EQ(story.guard.counters().shadowed, 6);
}

TEST(Guard, APolicyThatWasPinnedMustLeaveThatBound) {
  Story story;
  story.asks_for(2000, 5);
  EXPECT_EQ(story.asks_for(2000, 20), Driver::kFallback);
  EXPECT_EQ(story.asks_for(2, 3), Driver::kPolicy) << "the other bound was not the reason";
}

TEST(Guard, ABoundIsNoReasonAgainstOneThatWasLate) {
  Story story;
  story.is_late();
  EXPECT_EQ(story.asks_for(2, 3), Driver::kPolicy);
  story.is_late();
  EXPECT_EQ(story.asks_for(2000, 6), Driver::kPolicy);
}

TEST(Guard, WindowsAtABoundBeforeAFallbackDoNotCountAfterIt) {
  Story story;
  story.asks_for(2000, 4);
  story.is_late();
  story.asks_for(50, 3);
  ASSERT_EQ(story.guard.driver(), Driver::kPolicy);
  EXPECT_EQ(story.asks_for(2000, 4), Driver::kPolicy);
  EXPECT_EQ(story.asks_for(2000), Driver::kFallback);
}

// Healthy decisions that the guard asks for before it lets the policy back.
int until_back(Story& story) {
  int decisions = 0;
  for (; story.guard.driver() == Driver::kFallback && decisions < 1000; ++decisions) story.asks_for(50);
  return decisions;
}

TEST(Guard, AsksForMoreEachTimeAPolicyRelapses) {
  Story story;
  std::vector<int> wanted;
  for (int i = 0; i < 5; ++i) {
    story.is_late();
    wanted.push_back(until_back(story));
    story.asks_for(50, 4);
  }
  EXPECT_EQ(wanted, (std::vector<int>{3, 6, 12, 12, 12}));
}

TEST(Guard, ForgivesAPolicyThatHasDrivenForLong) {
  Story story;
  story.is_late();
  until_back(story);
  story.is_late();
  EXPECT_EQ(until_back(story), 6);
  story.asks_for(50, 11);
  story.is_late();
  EXPECT_EQ(until_back(story), 12) << "one decision too early";
  story.asks_for(50, 12);
  story.is_late();
  EXPECT_EQ(until_back(story), 3);
}

TEST(Guard, DoublesWithoutOverflow) {
  GuardConfig config = tight();
  config.return_after = 1;
  config.max_return_after = std::numeric_limits<std::int32_t>::max();
  Guard guard(config, kMin, kMax);
  for (int i = 0; i < 40; ++i) {
    guard.judge(TimePoint::zero(), {Duration::from_ms(30), true, kPresent}, kPresent);
    ASSERT_GT(guard.wanted(), 0);
    if (i == 20) break;
    while (guard.driver() == Driver::kFallback) {
      guard.judge(TimePoint::zero(), {Duration::zero(), true, kPresent}, kPresent);
    }
  }
  EXPECT_EQ(guard.wanted(), 1 << 20);
}

TEST(Guard, DoesNotFlapWithAPolicyThatFailsEveryOtherTime) {
  Story story;
  for (int i = 0; i < 1000; ++i) {
    if (i % 2 == 0) {
      story.is_late();
    } else {
      story.asks_for(50);
    }
  }
  EXPECT_EQ(story.fallbacks(GuardReason::kLate), 1) << "it never had three good ones in a row";
  EXPECT_EQ(story.guard.counters().returns, 0);
}

TEST(Guard, TellsEachChangeOnce) {
  Story story;
  story.asks_for(50);
  story.gives_nan(10);
  story.asks_for(50, 20);
  ASSERT_EQ(story.events.size(), 2U);
  EXPECT_EQ(story.events[0].driver, Driver::kFallback);
  EXPECT_EQ(story.events[0].reason, GuardReason::kNonFinite);
  EXPECT_EQ(story.events[0].now, TimePoint::from_ms(200));
  EXPECT_EQ(story.events[0].window, kPresent);
  EXPECT_EQ(story.events[1].driver, Driver::kPolicy);
  EXPECT_EQ(story.events[1].reason, GuardReason::kNonFinite) << "what is over";
  EXPECT_EQ(story.events[1].now, TimePoint::from_ms(1400));
}

TEST(Guard, CountsTheTimeOfTheFallback) {
  Story story;
  story.is_late();
  const TimePoint fell = story.now;
  story.asks_for(50, 2);
  EXPECT_EQ(story.guard.fallback_time(story.now), story.now - fell) << "still running";
  story.asks_for(50);
  const Duration first = story.now - fell;
  story.asks_for(50, 10);
  EXPECT_EQ(story.guard.fallback_time(story.now), first);
  story.is_late(3);
  EXPECT_EQ(story.guard.fallback_time(story.now), first + kWindow * 2);
  until_back(story);
  EXPECT_EQ(story.guard.fallback_time(story.now), first + kWindow * 8) << "both";
}

std::string refused(void (*change)(GuardConfig&)) {
  GuardConfig config;
  change(config);
  try {
    Guard(config, kMin, kMax);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Guard, RefusesBadConfigurations) {
  EXPECT_EQ(refused([](GuardConfig& c) { c.max_latency = Duration::zero(); }),
            "max_latency must be positive");
  EXPECT_EQ(refused([](GuardConfig& c) { c.pinned_windows = 0; }), "pinned_windows must be at least 1");
  EXPECT_EQ(refused([](GuardConfig& c) { c.return_after = 0; }), "return_after must be at least 1");
  EXPECT_EQ(refused([](GuardConfig& c) { c.max_return_after = c.return_after - 1; }),
            "max_return_after must be at least return_after");
  EXPECT_EQ(refused([](GuardConfig& c) { c.fallback = ExternalConfig{}; }),
            "fallback must be a classic controller");
  EXPECT_EQ(refused([](GuardConfig&) {}), "accepted");
}

}  // namespace
}  // namespace mvfstrl
