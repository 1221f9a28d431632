#include "observe/observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/rng.h"
#include "common/test_memory.h"
#include "observe/observation_spec.h"

namespace mvfstrl {
namespace {

constexpr TimePoint at(std::int64_t value) { return TimePoint::from_ms(value); }

// A connection whose numbers grow at random, always consistently.
struct Connection {
  Rng rng{11};
  RttStats rtt;
  ConnectionStats stats;

  bool ack(Observer& observer, TimePoint now) {
    const Duration sample = Duration::from_us(static_cast<std::int64_t>(40'000 + rng.below(2'000'000)));
    rtt.update(sample, Duration::zero());
    AckEvent event;
    event.now = now;
    event.acked_bytes = ByteCount(1252 * static_cast<std::int64_t>(1 + rng.below(20)));
    event.rtt = sample;
    stats.bytes_sent += ByteCount(1252 * static_cast<std::int64_t>(rng.below(400)));
    stats.bytes_received += ByteCount(40);
    stats.congestion_window = ByteCount(static_cast<std::int64_t>(rng.below(3'000'000'000)));
    stats.total_pto_count += rng.below(2);
    LossEvent loss;
    loss.lost_bytes = ByteCount(1252);
    return observer.on_event(now, &event, rng.bernoulli(0.1) ? &loss : nullptr, rtt, stats);
  }
};

ObservationConfig small_config() {
  ObservationConfig config;
  config.history = 2;
  return config;
}

TEST(Observer, ComposesFlagStatisticsAndHistory) {
  Observer observer(small_config(), 5);
  ASSERT_EQ(observer.size(), 91U + 2 * 6);
  observer.reset(at(0), ByteCount(12'520));
  Connection connection;
  connection.ack(observer, at(50));
  observer.close_window(at(100), connection.rtt, connection.stats);
  observer.on_action(3, ByteCount(25'040));
  std::vector<float> out(observer.size());
  observer.write_observation(out);
  EXPECT_EQ(out[0], 0.0F);
  EXPECT_NEAR(out[1], connection.rtt.min().to_ms() / 100, 1e-5);  // rtt_min.mean
  const std::vector<float> history(out.begin() + 91, out.end());
  EXPECT_EQ(history, (std::vector<float>{0, 0, 0, 1, 0, 25.04F, 1, 0, 0, 0, 0, 12.52F}));
}

TEST(Observer, AnEmptyWindowIsDescribedByTheConnectionAtRest) {
  Observer observer(small_config(), 5);
  observer.reset(at(0), ByteCount(12'520));
  Connection connection;
  connection.ack(observer, at(90));
  observer.close_window(at(100), connection.rtt, connection.stats);
  const WindowSummary window = observer.close_window(at(200), connection.rtt, connection.stats);
  EXPECT_TRUE(window.empty());
  EXPECT_EQ(window.mean_rtt, Duration::from_ms(110));
  const Duration beyond = Duration::from_ms(110) - connection.rtt.min();
  EXPECT_NEAR(window.max_delay.to_ms(), std::max(0.0, beyond.to_ms()), 1e-4);
  std::vector<float> out(observer.size());
  observer.write_observation(out);
  EXPECT_EQ(out[0], 1.0F);
}

TEST(Observer, EveryValueKeepsTheBoundsOfItsSpec) {
  const ObservationSpec spec = make_observation_spec(small_config(), ActionConfig{}, RewardConfig{});
  Observer observer(small_config(), 5);
  ASSERT_EQ(spec.elements.size(), observer.size());
  observer.reset(at(0), ByteCount(12'520));
  Connection connection;
  std::vector<float> out(observer.size());
  for (int step = 1; step <= 500; ++step) {
    const std::uint64_t events = connection.rng.below(4);
    for (std::uint64_t i = 0; i < events; ++i) connection.ack(observer, at(100 * step - 10));
    observer.close_window(at(100 * step), connection.rtt, connection.stats);
    observer.on_action(connection.rng.below(5), connection.stats.congestion_window);
    observer.write_observation(out);
    for (std::size_t i = 0; i < out.size(); ++i) {
      ASSERT_GE(out[i], spec.elements[i].low) << spec.elements[i].name;
      ASSERT_LE(out[i], spec.elements[i].high) << spec.elements[i].name;
    }
  }
}

TEST(Observer, ResetGivesTheSameObservationsAgain) {
  Observer observer(small_config(), 5);
  const auto episode = [&observer] {
    Connection connection;
    std::vector<float> all;
    observer.reset(at(0), ByteCount(12'520));
    std::vector<float> out(observer.size());
    for (int step = 1; step <= 20; ++step) {
      if (step % 4 != 0) connection.ack(observer, at(100 * step - 30));
      observer.close_window(at(100 * step), connection.rtt, connection.stats);
      observer.on_action(connection.rng.below(5), connection.stats.congestion_window);
      observer.write_observation(out);
      all.insert(all.end(), out.begin(), out.end());
    }
    return all;
  };
  const std::vector<float> first = episode();
  EXPECT_EQ(first, episode());
}

TEST(Observer, CountWindowsFillAndTimeWindowsFallDue) {
  ObservationConfig config = small_config();
  config.window_kind = WindowKind::kCount;
  config.window_events = 2;
  Observer counting(config, 5);
  counting.reset(at(0), ByteCount(12'520));
  Connection connection;
  EXPECT_FALSE(connection.ack(counting, at(10)));
  EXPECT_TRUE(connection.ack(counting, at(20)));
  EXPECT_TRUE(counting.window_end().is_never());

  Observer timing(small_config(), 5);
  timing.reset(at(40), ByteCount(12'520));
  EXPECT_EQ(timing.window_end(), at(140));
  EXPECT_FALSE(connection.ack(timing, at(50)));
  timing.close_window(at(140), connection.rtt, connection.stats);
  EXPECT_EQ(timing.window_end(), at(240));
}

TEST(Observer, NothingIsAllocatedAfterConstruction) {
  Observer observer(ObservationConfig{}, 5);
  std::vector<float> out(observer.size());
  Connection connection;
  const std::int64_t before = CountedMemory::allocations();
  for (int episode = 0; episode < 3; ++episode) {
    observer.reset(at(0), ByteCount(12'520));
    for (int step = 1; step <= 50; ++step) {
      if (step % 3 != 0) connection.ack(observer, at(100 * step - 30));
      observer.close_window(at(100 * step), connection.rtt, connection.stats);
      observer.on_action(1, ByteCount(1252));
      observer.write_observation(out);
    }
  }
  EXPECT_EQ(CountedMemory::allocations(), before);
}

}  // namespace
}  // namespace mvfstrl
