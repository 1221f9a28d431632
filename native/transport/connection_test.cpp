// Sender and receiver together over an ideal line: bounds from the bandwidth-delay product, conservation
// under any loss, determinism.
#include <gtest/gtest.h>

#include <memory>

#include "common/rng.h"
#include "congestion/factory.h"
#include "transport/test_line.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }

Sender make_sender(const TransportConfig& config, const ControllerConfig& controller,
                   AppConfig app = BulkApp{}) {
  return Sender(config, make_controller(controller, config.window), app);
}

TEST(Connection, AFixedWindowCarriesAWindowARoundTrip) {
  TransportConfig config;
  TestLine line(make_sender(config, FixedConfig{50}), config, {});
  line.run(at(10'000));
  // Unpaced on an infinitely fast line: five ACKs of ten packets each, so no ACK waits for its timer.
  const double expected = 50.0 * 10'000 / 60.0;
  EXPECT_NEAR(static_cast<double>(line.receiver().packets_received()), expected, 0.02 * expected);
}

TEST(Connection, ARemainderOfTenWaitsForTheAckTimer) {
  TransportConfig config;
  TestLine line(make_sender(config, FixedConfig{5}), config, {});
  line.run(at(10'000));
  // (60 + 4) / 4 = 16 ms and a tick after the packets came: 77 ms a round.
  const double expected = 5.0 * 10'000 / 77.0;
  EXPECT_NEAR(static_cast<double>(line.receiver().packets_received()), expected, 0.02 * expected);
}

// BDP of 1 packet a ms over 60 ms: 60 packets; a buffer of 30 ms.
TEST(Connection, ControllersFillALinkWithAHalfBdpBuffer) {
  for (const ControllerConfig& controller :
       {ControllerConfig{CubicConfig{}}, ControllerConfig{NewRenoConfig{}}}) {
    TransportConfig config;
    TestLine::Options options;
    options.spacing = Duration::from_ms(1);
    options.limit = Duration::from_ms(30);
    TestLine line(make_sender(config, controller), config, options);
    line.run(at(30'000));
    const double received = static_cast<double>(line.receiver().packets_received());
    EXPECT_GT(received, 0.88 * 30'000) << controller_name(controller);
    EXPECT_LE(received, 30'000);
    EXPECT_LT(static_cast<double>(line.dropped()), 0.02 * received) << controller_name(controller);
    EXPECT_LE(line.sender().rtt().latest(), Duration::from_ms(60 + 30 + 1 + 17));
    EXPECT_GE(line.sender().rtt().min(), Duration::from_ms(61));
  }
}

TEST(Connection, ATransferEndsWithEveryByteThroughLossOfEveryKind) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TransportConfig config;
    Rng rng(seed);
    TestLine::Options options;
    options.drop = [&](std::uint64_t) { return rng.bernoulli(0.1); };
    options.drop_ack = [&](std::uint64_t) { return rng.bernoulli(0.1); };
    TestLine line(make_sender(config, CubicConfig{}, FixedSizeApp{ByteCount(300'000)}), config, options);
    line.run(at(120'000));
    ASSERT_TRUE(line.sender().finished()) << "seed " << seed;
    EXPECT_TRUE(line.sender().next_timer().is_never());
    EXPECT_GE(line.sender().stats().bytes_acked, ByteCount(290'000));
  }
}

TEST(Connection, EveryPacketIsAcknowledgedLostOrInFlightAfterEveryEvent) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    TransportConfig config;
    config.pacing = seed % 2 == 0 ? Pacing::kAlways : Pacing::kNever;
    Rng rng(seed);
    TestLine::Options options;
    options.spacing = Duration::from_us(300);
    options.limit = Duration::from_ms(10);
    options.drop = [&](std::uint64_t) { return rng.bernoulli(0.02); };
    options.drop_ack = [&](std::uint64_t) { return rng.bernoulli(0.05); };
    TestLine* shown = nullptr;
    std::uint64_t events = 0;
    options.after_event = [&] {
      ++events;
      const ConnectionStats& s = shown->sender().stats();
      ASSERT_EQ(s.packets_sent, s.packets_acked + s.packets_lost + s.packets_in_flight);
      ASSERT_EQ(s.bytes_sent, s.bytes_acked + s.bytes_lost + s.bytes_in_flight);
      ASSERT_EQ(s.packets_sent, shown->receiver().packets_received() + shown->dropped() + shown->under_way());
      ASSERT_LE(s.packets_acked, shown->receiver().packets_received());
      ASSERT_GT(shown->sender().next_timer(), shown->now());
    };
    OnOffApp app;
    app.on = Duration::from_ms(400);
    app.off = Duration::from_ms(100);
    TestLine line(make_sender(config, NewRenoConfig{}, app), config, options);
    shown = &line;
    line.run(at(5'000));
    EXPECT_GT(events, 100u);
    EXPECT_GT(line.sender().stats().packets_lost, 0u);
  }
}

TEST(Connection, RecoversFromAnOutage) {
  TransportConfig config;
  bool dark = false;
  TestLine::Options options;
  options.spacing = Duration::from_ms(1);
  options.drop = [&](std::uint64_t) { return dark; };
  TestLine line(make_sender(config, CubicConfig{}), config, options);
  line.run(at(1'000));
  dark = true;
  line.run(at(4'000));
  const std::uint64_t before = line.receiver().packets_received();
  const ConnectionStats& during = line.sender().stats();
  EXPECT_GE(during.pto_count, 3u);
  EXPECT_LE(during.pto_count, 6u);  // doubling: not one probe every round trip
  dark = false;
  line.run(at(12'000));
  EXPECT_GT(line.receiver().packets_received(), before + 3'000);
  EXPECT_EQ(line.sender().stats().persistent_congestion_count, 1u);
}

TEST(Connection, SameSeedSameConnection) {
  const auto run = [](std::uint64_t seed) {
    TransportConfig config;
    Rng rng(seed);
    TestLine::Options options;
    options.drop = [&](std::uint64_t) { return rng.bernoulli(0.03); };
    TestLine line(make_sender(config, CubicConfig{}), config, options);
    line.run(at(3'000));
    return line.sender().stats().bytes_acked;
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(Connection, PacedSendersDoNotBurst) {
  TransportConfig config;
  TestLine::Options options;
  options.spacing = Duration::from_ms(1);
  options.limit = Duration::from_ms(8);  // eight packets: an unpaced window would not pass
  const auto received = [&](Pacing pacing) {
    config.pacing = pacing;
    TestLine line(make_sender(config, FixedConfig{40}), config, options);
    line.run(at(10'000));
    return static_cast<double>(line.dropped()) / static_cast<double>(line.sender().stats().packets_sent);
  };
  EXPECT_LT(received(Pacing::kAlways), 0.02);  // the first flight leaves before there is an RTT to pace by
  EXPECT_GT(received(Pacing::kNever), 0.05);
}

}  // namespace
}  // namespace mvfstrl
