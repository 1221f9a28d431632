#include "observe/sampler.h"

#include <gtest/gtest.h>

namespace mvfstrl {
namespace {

constexpr Duration ms(std::int64_t value) { return Duration::from_ms(value); }
constexpr TimePoint at(std::int64_t value) { return TimePoint::from_ms(value); }

AckEvent ack_of(TimePoint now, std::int64_t bytes, std::optional<Duration> rtt) {
  AckEvent ack;
  ack.now = now;
  ack.acked_bytes = ByteCount(bytes);
  ack.rtt = rtt;
  return ack;
}

LossEvent loss_of(TimePoint now, std::int64_t bytes, bool persistent) {
  LossEvent loss;
  loss.now = now;
  loss.lost_bytes = ByteCount(bytes);
  loss.persistent = persistent;
  return loss;
}

struct Connection {
  RttStats rtt;
  ConnectionStats stats;
  Sampler sampler;
  Connection() { sampler.reset(at(0)); }
  NetworkSample ack(std::int64_t now, std::int64_t bytes, Duration sample_rtt) {
    rtt.update(sample_rtt, Duration::zero());
    const AckEvent event = ack_of(at(now), bytes, sample_rtt);
    return sampler.on_event(at(now), &event, nullptr, rtt, stats);
  }
};

TEST(Sampler, LevelsAreTheConnectionsOwn) {
  Connection connection;
  connection.stats.congestion_window = ByteCount(12'520);
  connection.stats.bytes_in_flight = ByteCount(10'016);
  connection.stats.writable = ByteCount(2'504);
  connection.ack(60, 1252, ms(60));
  const NetworkSample sample = connection.ack(140, 1252, ms(80));
  EXPECT_FLOAT_EQ(sample[Field::kRttMin], 60e6F);
  EXPECT_FLOAT_EQ(sample[Field::kRttLatest], 80e6F);
  EXPECT_FLOAT_EQ(sample[Field::kRttSmoothed], 62.5e6F);   // 60 * 7/8 + 80 / 8
  EXPECT_FLOAT_EQ(sample[Field::kRttVariation], 27.5e6F);  // 30 * 3/4 + 20 / 4
  EXPECT_FLOAT_EQ(sample[Field::kDelay], 20e6F);
  EXPECT_FLOAT_EQ(sample[Field::kCwnd], 12'520.0F);
  EXPECT_FLOAT_EQ(sample[Field::kInFlight], 10'016.0F);
  EXPECT_FLOAT_EQ(sample[Field::kWritable], 2'504.0F);
}

TEST(Sampler, TheStandingRttIsTheLeastOfHalfASmoothedRtt) {
  Connection connection;
  EXPECT_FLOAT_EQ(connection.ack(100, 1252, ms(100))[Field::kRttStanding], 100e6F);
  EXPECT_FLOAT_EQ(connection.ack(110, 1252, ms(120))[Field::kRttStanding], 100e6F);  // within about 50 ms
  const NetworkSample later = connection.ack(180, 1252, ms(130));
  EXPECT_FLOAT_EQ(later[Field::kRttStanding], 130e6F);
  EXPECT_FLOAT_EQ(later[Field::kRttMin], 100e6F);
}

TEST(Sampler, AnAckWithoutAnRttSampleLeavesTheStandingRttAlone) {
  Connection connection;
  connection.ack(100, 1252, ms(100));
  connection.ack(110, 1252, ms(120));
  const AckEvent event = ack_of(at(500), 1252, std::nullopt);
  const NetworkSample sample =
      connection.sampler.on_event(at(500), &event, nullptr, connection.rtt, connection.stats);
  EXPECT_FLOAT_EQ(sample[Field::kRttStanding], 100e6F);
}

TEST(Sampler, CountersAreTheGrowthSinceThePreviousSample) {
  Connection connection;
  ConnectionStats& stats = connection.stats;
  stats.bytes_sent = ByteCount(50'000);
  stats.bytes_received = ByteCount(300);
  stats.bytes_retransmitted = ByteCount(1'252);
  stats.pto_count = 2;
  stats.total_pto_count = 5;
  stats.rtx_count = 3;
  stats.timeout_based_rtx_count = 1;
  const NetworkSample first = connection.ack(60, 1252, ms(60));
  EXPECT_EQ(first[Field::kSent], 50'000.0F);
  stats.bytes_sent += ByteCount(12'520);
  stats.bytes_received += ByteCount(40);
  stats.bytes_retransmitted += ByteCount(2'504);
  stats.pto_count = 1;
  stats.total_pto_count += 1;
  stats.rtx_count += 4;
  stats.timeout_based_rtx_count += 2;
  const NetworkSample second = connection.ack(70, 9'000, ms(60));
  EXPECT_EQ(second[Field::kSent], 12'520.0F);
  EXPECT_EQ(second[Field::kReceived], 40.0F);
  EXPECT_EQ(second[Field::kRetransmitted], 2'504.0F);
  EXPECT_EQ(second[Field::kPtoCount], 1.0F);
  EXPECT_EQ(second[Field::kPtoDelta], 1.0F);
  EXPECT_EQ(second[Field::kRtxCount], 4.0F);
  EXPECT_EQ(second[Field::kTimeoutRtxCount], 2.0F);
  EXPECT_EQ(second[Field::kAcked], 9'000.0F);
  EXPECT_EQ(second[Field::kLost], 0.0F);
}

TEST(Sampler, ALossAloneIsASampleToo) {
  Connection connection;
  connection.ack(60, 9'500, ms(60));
  const LossEvent loss = loss_of(at(90), 3'756, true);
  const NetworkSample sample =
      connection.sampler.on_event(at(90), nullptr, &loss, connection.rtt, connection.stats);
  EXPECT_EQ(sample[Field::kLost], 3'756.0F);
  EXPECT_EQ(sample[Field::kPersistentCongestion], 1.0F);
  EXPECT_EQ(sample[Field::kAcked], 0.0F);
  EXPECT_FLOAT_EQ(sample[Field::kRttLatest], 60e6F);
  EXPECT_FLOAT_EQ(sample[Field::kThroughput], 9'500 / 0.090F);  // at a slot's start: 90 ms are covered
  EXPECT_EQ(connection.sampler.since_last_ack(at(90)), ms(30));
}

TEST(Sampler, AtRestTheDelayIsTheSilenceBeyondTheMinimumRtt) {
  Connection connection;
  connection.ack(60, 1252, ms(60));
  connection.stats.total_pto_count = 1;
  connection.stats.bytes_sent = ByteCount(2'504);
  const NetworkSample sample = connection.sampler.idle(at(200), connection.rtt, connection.stats);
  EXPECT_FLOAT_EQ(sample[Field::kDelay], 80e6F);  // 140 ms of silence beyond 60 ms
  EXPECT_EQ(sample[Field::kThroughput], 0.0F);
  EXPECT_EQ(sample[Field::kAcked], 0.0F);
  EXPECT_EQ(sample[Field::kPtoDelta], 1.0F);
  EXPECT_EQ(sample[Field::kSent], 2'504.0F);
  EXPECT_FLOAT_EQ(sample[Field::kRttLatest], 60e6F);
  EXPECT_EQ(connection.sampler.idle(at(201), connection.rtt, connection.stats)[Field::kSent], 0.0F);
  EXPECT_EQ(connection.sampler.idle(at(100), connection.rtt, connection.stats)[Field::kDelay], 0.0F);
}

TEST(Sampler, BeforeTheFirstAckTheSilenceCountsFromTheStart) {
  Sampler sampler;
  sampler.reset(at(1000));
  EXPECT_FLOAT_EQ(sampler.idle(at(1100), RttStats{}, ConnectionStats{})[Field::kDelay], 100e6F);
}

TEST(Sampler, ResetForgetsThePreviousConnection) {
  Connection connection;
  connection.stats.bytes_sent = ByteCount(70'000);
  connection.ack(60, 1252, ms(60));
  connection.sampler.reset(at(65));
  connection.stats = ConnectionStats{};
  connection.stats.bytes_sent = ByteCount(1'252);
  connection.rtt = RttStats{};
  const NetworkSample sample = connection.ack(70, 1252, ms(90));
  EXPECT_EQ(sample[Field::kSent], 1'252.0F);
  EXPECT_FLOAT_EQ(sample[Field::kRttStanding], 90e6F);
  EXPECT_FLOAT_EQ(sample[Field::kThroughput], 1'252 / 0.095F);
}

}  // namespace
}  // namespace mvfstrl
