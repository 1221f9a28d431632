#include "transport/event_log.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "congestion/cubic.h"
#include "transport/test_line.h"

namespace mvfstrl {
namespace {

constexpr TimePoint kEnd = TimePoint::from_ms(5'000);

TestLine make_line() {
  TestLine::Options options;
  options.spacing = Duration::from_ms(1);
  options.drop = [](std::uint64_t number) { return number % 29 == 28; };
  const TransportConfig config;
  return TestLine(Sender(config, std::make_unique<Cubic>(CubicConfig{}, config.window), BulkApp{}), config,
                  std::move(options));
}

std::int64_t count(const EventLog& log, EventLog::Kind kind) {
  return std::count(log.order().begin(), log.order().end(), kind);
}

TEST(EventLog, HoldsEveryPacketSentAndLost) {
  EventLog log;
  TestLine line = make_line();
  line.sender().set_log(&log);
  line.run(kEnd);
  const ConnectionStats& stats = line.sender().stats();
  ASSERT_EQ(log.sent().size(), stats.packets_sent);
  ASSERT_EQ(log.lost().size(), stats.packets_lost);
  EXPECT_GT(log.lost().size(), 5U);
  for (std::size_t i = 0; i < log.sent().size(); ++i) ASSERT_EQ(log.sent()[i].number, i);
  for (const EventLog::Lost& lost : log.lost()) {
    EXPECT_GT(lost.at, log.sent()[lost.number].at);
    EXPECT_EQ(lost.bytes, log.sent()[lost.number].bytes);
  }
}

TEST(EventLog, TellsTheAcksAndWhatTheyLeft) {
  EventLog log;
  TestLine line = make_line();
  line.sender().set_log(&log);
  line.run(kEnd);
  const ConnectionStats& stats = line.sender().stats();
  const EventLog::Ack& ack = log.acks().back();
  EXPECT_EQ(ack.first_range + ack.ranges, log.ranges().size());
  EXPECT_LT(log.ranges()[ack.first_range].last, stats.packets_sent);
  EXPECT_GT(ack.bytes, 0);
  const EventLog::Metrics& last = log.metrics().back();
  EXPECT_EQ(last.smoothed_rtt, line.sender().rtt().smoothed());
  EXPECT_EQ(last.min_rtt, line.sender().rtt().min());
  EXPECT_EQ(last.rtt_variance, line.sender().rtt().variation());
  EXPECT_EQ(last.congestion_window, stats.congestion_window.value());
  EXPECT_EQ(log.states().front().name, "slow_start");
  EXPECT_GT(log.states().size(), 2U);
}

TEST(EventLog, KeepsTheOrderOfTime) {
  EventLog log;
  TestLine line = make_line();
  line.sender().set_log(&log);
  line.run(kEnd);
  log.on_action(kEnd, 3, ByteCount(12'520));
  EXPECT_EQ(count(log, EventLog::Kind::kSent), static_cast<std::int64_t>(log.sent().size()));
  EXPECT_EQ(count(log, EventLog::Kind::kAck), static_cast<std::int64_t>(log.acks().size()));
  EXPECT_EQ(count(log, EventLog::Kind::kLost), static_cast<std::int64_t>(log.lost().size()));
  EXPECT_EQ(count(log, EventLog::Kind::kMetrics), static_cast<std::int64_t>(log.metrics().size()));
  EXPECT_EQ(count(log, EventLog::Kind::kState), static_cast<std::int64_t>(log.states().size()));
  EXPECT_EQ(log.order().back(), EventLog::Kind::kAction);
  std::size_t sent = 0;
  std::size_t acks = 0;
  TimePoint now;
  for (const EventLog::Kind kind : log.order()) {
    if (kind == EventLog::Kind::kSent) {
      ASSERT_GE(log.sent()[sent].at, now);
      now = log.sent()[sent++].at;
    } else if (kind == EventLog::Kind::kAck) {
      ASSERT_GE(log.acks()[acks].at, now);
      now = log.acks()[acks++].at;
    }
  }
}

TEST(EventLog, ProbesAreMarkedAndTheirTimeoutsCounted) {
  EventLog log;
  TestLine::Options options;
  options.drop = [](std::uint64_t number) { return number >= 4 && number < 40; };
  const TransportConfig config;
  TestLine line(Sender(config, std::make_unique<Cubic>(CubicConfig{}, config.window), BulkApp{}), config,
                std::move(options));
  line.sender().set_log(&log);
  line.run(TimePoint::from_ms(500));
  EXPECT_TRUE(std::any_of(log.metrics().begin(), log.metrics().end(),
                          [](const EventLog::Metrics& m) { return m.pto_count > 0; }));
  EXPECT_TRUE(std::any_of(log.sent().begin(), log.sent().end(), [](const auto& sent) { return sent.probe; }));
  EXPECT_FALSE(log.sent().front().probe);
}

TEST(EventLog, ChangesNothing) {
  EventLog log;
  TestLine with = make_line();
  with.sender().set_log(&log);
  TestLine without = make_line();
  with.run(kEnd);
  without.run(kEnd);
  EXPECT_EQ(with.sender().stats().bytes_acked, without.sender().stats().bytes_acked);
  EXPECT_EQ(with.sender().stats().packets_sent, without.sender().stats().packets_sent);
  const std::size_t events = log.order().size();
  with.sender().set_log(nullptr);
  with.run(kEnd + Duration::from_ms(500));
  EXPECT_EQ(log.order().size(), events);
}

}  // namespace
}  // namespace mvfstrl
