#include "observe/window_aggregator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace mvfstrl {
namespace {

constexpr TimePoint at(std::int64_t value) { return TimePoint::from_ms(value); }

ObservationConfig time_windows(std::int64_t length_ms) {
  ObservationConfig config;
  config.window = Duration::from_ms(length_ms);
  return config;
}

ObservationConfig count_windows(int events) {
  ObservationConfig config;
  config.window_kind = WindowKind::kCount;
  config.window_events = events;
  return config;
}

struct Event {
  AckEvent ack;
  LossEvent loss;
  NetworkSample sample;
  Event(float delay_ms, std::int64_t acked, std::int64_t lost = 0) {
    ack.acked_bytes = ByteCount(acked);
    loss.lost_bytes = ByteCount(lost);
    sample[Field::kDelay] = delay_ms * 1e6F;
    sample[Field::kRttLatest] = (50.0F + delay_ms) * 1e6F;
    sample[Field::kRttMin] = 50e6F;
    sample[Field::kAcked] = static_cast<float>(acked);
    sample[Field::kLost] = static_cast<float>(lost);
  }
  bool feed(WindowAggregator& windows) const {
    return windows.add(sample, &ack, loss.lost_bytes == ByteCount::zero() ? nullptr : &loss);
  }
};

// Where a statistic stands in the written vector, counted from the table itself.
std::size_t slot(Field wanted, Statistic statistic) {
  std::size_t position = 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(wanted); ++i)
    position += statistic_count(kFields[i].kind);
  const std::size_t skipped = 5 - statistic_count(field_info(wanted).kind);
  return position + static_cast<std::size_t>(statistic) - skipped;
}

std::vector<float> written(const WindowAggregator& windows) {
  std::vector<float> out(WindowAggregator::size(), -1.0F);
  windows.write(out);
  return out;
}

TEST(WindowAggregator, TenLevelsHaveFourStatisticsAndTenCountersFive) {
  EXPECT_EQ(WindowAggregator::size(), 91U);
  EXPECT_EQ(slot(Field::kPersistentCongestion, Statistic::kMax), 90U);
}

TEST(WindowAggregator, SummarisesAWindowComputedByHand) {
  WindowAggregator windows(time_windows(100));
  windows.reset(at(1000));
  EXPECT_EQ(windows.window_end(), at(1100));
  Event(10.0F, 10'000).feed(windows);
  Event(40.0F, 20'000, 5'000).feed(windows);
  Event(30.0F, 30'000).feed(windows);
  const WindowSummary window = windows.close(at(1100));
  EXPECT_EQ(window.start, at(1000));
  EXPECT_EQ(window.end, at(1100));
  EXPECT_EQ(window.events, 3U);
  EXPECT_EQ(window.acked, ByteCount(60'000));
  EXPECT_EQ(window.lost, ByteCount(5'000));
  EXPECT_DOUBLE_EQ(window.throughput(), 600'000.0);
  EXPECT_DOUBLE_EQ(window.loss_fraction(), 5.0 / 65.0);
  EXPECT_NEAR(window.max_delay.to_ms(), 40.0, 1e-5);
  EXPECT_NEAR(window.mean_delay.to_ms(), 80.0 / 3, 1e-5);
  EXPECT_NEAR(window.mean_rtt.to_ms(), 50 + 80.0 / 3, 1e-5);

  const std::vector<float> out = written(windows);
  EXPECT_EQ(out[0], 0.0F);
  // Delay in units of 100 ms: 0.1, 0.4, 0.3; sample deviation sqrt((0.1667^2 + 0.1333^2 + 0.0333^2) / 2).
  EXPECT_NEAR(out[slot(Field::kDelay, Statistic::kMean)], 0.8 / 3, 1e-6);
  EXPECT_NEAR(out[slot(Field::kDelay, Statistic::kStd)], 0.1527525, 1e-6);
  EXPECT_NEAR(out[slot(Field::kDelay, Statistic::kMin)], 0.1, 1e-6);
  EXPECT_NEAR(out[slot(Field::kDelay, Statistic::kMax)], 0.4, 1e-6);
  // A level that does not move has a deviation of exactly zero.
  EXPECT_FLOAT_EQ(out[slot(Field::kRttMin, Statistic::kMean)], 0.5F);
  EXPECT_EQ(out[slot(Field::kRttMin, Statistic::kStd)], 0.0F);
  // Acknowledged bytes in units of 1000: 10, 20, 30.
  EXPECT_FLOAT_EQ(out[slot(Field::kAcked, Statistic::kSum)], 60.0F);
  EXPECT_FLOAT_EQ(out[slot(Field::kAcked, Statistic::kMean)], 20.0F);
  EXPECT_FLOAT_EQ(out[slot(Field::kAcked, Statistic::kStd)], 10.0F);
  EXPECT_FLOAT_EQ(out[slot(Field::kAcked, Statistic::kMin)], 10.0F);
  EXPECT_FLOAT_EQ(out[slot(Field::kAcked, Statistic::kMax)], 30.0F);
  EXPECT_FLOAT_EQ(out[slot(Field::kLost, Statistic::kSum)], 5.0F);
}

TEST(WindowAggregator, OneEventHasNoDeviation) {
  WindowAggregator windows(time_windows(100));
  windows.reset(at(0));
  Event(10.0F, 10'000).feed(windows);
  windows.close(at(100));
  EXPECT_EQ(written(windows)[slot(Field::kAcked, Statistic::kStd)], 0.0F);
  EXPECT_FLOAT_EQ(written(windows)[slot(Field::kAcked, Statistic::kSum)], 10.0F);
}

TEST(WindowAggregator, EachWindowStartsAnewWhereTheLastEnded) {
  WindowAggregator windows(time_windows(100));
  windows.reset(at(0));
  Event(90.0F, 70'000, 900).feed(windows);
  windows.close(at(100));
  EXPECT_EQ(windows.window_end(), at(200));
  Event(20.0F, 8'000).feed(windows);
  // What is shown is the closed window, not the open one.
  EXPECT_FLOAT_EQ(written(windows)[slot(Field::kAcked, Statistic::kSum)], 70.0F);
  const WindowSummary window = windows.close(at(200));
  EXPECT_EQ(window.start, at(100));
  EXPECT_EQ(window.acked, ByteCount(8'000));
  EXPECT_EQ(window.lost, ByteCount::zero());
  EXPECT_NEAR(window.max_delay.to_ms(), 20.0, 1e-5);
  EXPECT_FLOAT_EQ(written(windows)[slot(Field::kAcked, Statistic::kSum)], 8.0F);
  EXPECT_FLOAT_EQ(written(windows)[slot(Field::kDelay, Statistic::kMin)], 0.2F);
}

TEST(WindowAggregator, AWindowWithoutEventsSaysSo) {
  WindowAggregator windows(time_windows(100));
  windows.reset(at(0));
  Event(10.0F, 10'000).feed(windows);
  windows.close(at(100));
  ASSERT_TRUE(windows.empty());
  NetworkSample idle;
  idle[Field::kDelay] = 70e6F;
  const WindowSummary window = windows.close_idle(at(200), idle, Duration::from_ms(130));
  EXPECT_TRUE(window.empty());
  EXPECT_EQ(window.throughput(), 0.0);
  EXPECT_EQ(window.loss_fraction(), 0.0);
  EXPECT_NEAR(window.max_delay.to_ms(), 70.0, 1e-5);
  EXPECT_EQ(window.mean_rtt, Duration::from_ms(130));
  const std::vector<float> out = written(windows);
  EXPECT_EQ(out[0], 1.0F);
  EXPECT_FLOAT_EQ(out[slot(Field::kDelay, Statistic::kMax)], 0.7F);
  EXPECT_EQ(out[slot(Field::kAcked, Statistic::kSum)], 0.0F);
  Event(10.0F, 10'000).feed(windows);
  windows.close(at(300));
  EXPECT_EQ(written(windows)[0], 0.0F);
}

TEST(WindowAggregator, BeforeTheFirstCloseOnlyTheFlagIsSet) {
  WindowAggregator windows(time_windows(100));
  windows.reset(at(0));
  Event(10.0F, 10'000).feed(windows);
  windows.close(at(100));
  windows.reset(at(0));  // a new connection, which knows nothing of the one before
  const std::vector<float> out = written(windows);
  EXPECT_EQ(out[0], 1.0F);
  for (std::size_t i = 1; i < out.size(); ++i) EXPECT_EQ(out[i], 0.0F);
}

TEST(WindowAggregator, ACountWindowIsFullAtItsLastEventAndHasNoDeadline) {
  WindowAggregator windows(count_windows(3));
  windows.reset(at(0));
  EXPECT_TRUE(windows.window_end().is_never());
  const Event event(10.0F, 1'000);
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(event.feed(windows));
    EXPECT_FALSE(event.feed(windows));
    EXPECT_TRUE(event.feed(windows));
    EXPECT_DOUBLE_EQ(windows.close(at(30 * (round + 1))).throughput(), 100'000.0);
  }
}

TEST(WindowAggregator, ACountWindowFilledInOneInstantHasAFiniteRate) {
  WindowAggregator windows(count_windows(1));
  windows.reset(at(5));
  Event(10.0F, 1'000).feed(windows);
  EXPECT_DOUBLE_EQ(windows.close(at(5)).throughput(), 1e6);  // taken as 1 ms
}

TEST(WindowAggregator, ValuesNeverLeaveTheirBounds) {
  WindowAggregator windows(time_windows(100));
  windows.reset(at(0));
  Event event(0.0F, 0);
  event.sample.values.fill(1e18F);
  event.feed(windows);
  event.sample.values.fill(-1.0F);
  event.feed(windows);
  windows.close(at(100));
  const std::vector<float> out = written(windows);
  std::size_t position = 1;
  for (const FieldInfo& field : kFields) {
    for (std::size_t i = 0; i < statistic_count(field.kind); ++i, ++position) {
      EXPECT_GE(out[position], 0.0F) << field.name;
      EXPECT_LE(out[position], field.high) << field.name;
    }
    EXPECT_EQ(out[position - 1], field.high) << field.name;
    EXPECT_EQ(out[position - 2], 0.0F) << field.name;
  }
}

TEST(WindowAggregator, RefusesWindowsThatAreNotPositive) {
  const auto message = [](const ObservationConfig& config) {
    try {
      WindowAggregator windows(config);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(message(time_windows(0)).find("observation.window_ms must be positive"), std::string::npos);
  EXPECT_NE(message(time_windows(-5)).find("observation.window_ms must be positive"), std::string::npos);
  EXPECT_NE(message(count_windows(0)).find("observation.window_events must be at least 1"),
            std::string::npos);
  EXPECT_EQ(message(count_windows(1)), "accepted");
}

}  // namespace
}  // namespace mvfstrl
