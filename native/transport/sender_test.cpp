#include "transport/sender.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "congestion/external.h"
#include "congestion/fixed.h"
#include "congestion/newreno.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }
constexpr Duration ms(std::int64_t n) { return Duration::from_ms(n); }

// Exact timers and no handshake, so that each rule shows by itself.
TransportConfig plain() {
  TransportConfig config;
  config.handshake_packets = 0;
  config.loss_timer_tick = Duration::zero();
  return config;
}

// Keeps the events it is shown.
struct Recorder : ConnectionObserver {
  struct Event {
    std::int64_t acked = 0;
    std::int64_t lost = 0;
    std::int64_t app_limited = 0;
    bool persistent = false;
    std::optional<Duration> rtt;
    Duration ack_delay;
    ByteCount window;
  };
  void on_event(TimePoint, const AckEvent* ack, const LossEvent* loss, const RttStats&,
                const ConnectionStats& stats) override {
    Event event;
    if (ack != nullptr) {
      for (const AckedPacket& packet : ack->packets) event.app_limited += packet.app_limited ? 1 : 0;
      event.acked = static_cast<std::int64_t>(ack->packets.size());
      event.rtt = ack->rtt;
      event.ack_delay = ack->ack_delay;
    }
    if (loss != nullptr) {
      event.lost = static_cast<std::int64_t>(loss->packets.size());
      event.persistent = loss->persistent;
    }
    event.window = stats.congestion_window;
    events.push_back(event);
  }
  std::vector<Event> events;
};

struct Fixture {
  explicit Fixture(TransportConfig config = plain(), std::int64_t window = 20, AppConfig app = BulkApp{})
      : sender(config, std::make_unique<FixedController>(FixedConfig{window}, config.window), app) {
    sender.set_observer(&recorder);
  }
  std::int64_t flush(TimePoint now) {
    std::int64_t sent = 0;
    while (sender.next_packet(now, packet)) ++sent;
    return sent;
  }
  void ack(TimePoint now, std::vector<AckRange> falling, Duration delay = Duration::zero()) {
    AckFrame frame;
    frame.ranges = std::move(falling);
    frame.ack_delay = delay;
    frame.payload = ByteCount(68);
    sender.on_ack(now, frame);
  }
  const ConnectionStats& stats() { return sender.stats(); }
  const Recorder::Event& last() const { return recorder.events.back(); }

  Recorder recorder;
  Sender sender;
  DataPacket packet;
};

TEST(Sender, FillsTheWindowAndWaits) {
  Fixture f;
  EXPECT_EQ(f.flush(at(0)), 20);
  EXPECT_EQ(f.packet.packet_number, 19u);
  EXPECT_EQ(f.packet.payload, kPacket);
  EXPECT_EQ(f.stats().bytes_in_flight, kPacket * 20);
  EXPECT_EQ(f.stats().writable, ByteCount(0));
  f.ack(at(60), {{0, 9}});
  EXPECT_EQ(f.flush(at(60)), 10);
}

// mvfst rounds the admitted bytes up to a whole packet.
TEST(Sender, APartlyOpenWindowAdmitsAWholePacket) {
  TransportConfig config = plain();
  auto external = std::make_unique<ExternalController>(config.window);
  external->set_window(kPacket * 2 + ByteCount(1));
  Sender sender(config, std::move(external), BulkApp{});
  DataPacket packet;
  int sent = 0;
  while (sender.next_packet(at(0), packet)) ++sent;
  EXPECT_EQ(sent, 3);
  EXPECT_EQ(packet.payload, kPacket);
}

TEST(Sender, OneSampleAnAckFromItsLargestNewPacket) {
  Fixture f;
  f.flush(at(0));
  f.ack(at(60), {{0, 4}}, ms(5));
  EXPECT_EQ(f.last().rtt, ms(60));
  EXPECT_EQ(f.sender.rtt().smoothed(), ms(60));
  // RFC 9002 section 5.1: no sample when the largest was acknowledged before.
  f.ack(at(70), {{0, 4}});
  EXPECT_EQ(f.recorder.events.size(), 1u);  // nothing new is no event
  f.ack(at(80), {{0, 5}}, ms(8));
  EXPECT_EQ(f.sender.rtt().latest(), ms(80));
  EXPECT_EQ(f.last().ack_delay, ms(8));
  EXPECT_EQ(f.sender.rtt().smoothed(), Duration::from_us(61'500));  // 72 ms counted
}

// mvfst: lost when more than three numbers behind, so the fourth behind is and the third is not.
TEST(Sender, PacketThreshold) {
  Fixture f;
  f.flush(at(0));
  f.ack(at(60), {{3, 3}, {1, 1}});
  EXPECT_EQ(f.last().lost, 0);  // packet 0 is three behind
  f.ack(at(60), {{3, 4}, {1, 1}});
  EXPECT_EQ(f.last().lost, 1);
  f.ack(at(60), {{3, 7}, {1, 1}});
  EXPECT_EQ(f.last().lost, 1);  // packet 2
  EXPECT_EQ(f.stats().packets_lost, 2u);
  EXPECT_EQ(f.stats().rtx_count, 2u);
}

// RFC 9002 section 6.1.2, with 5/4 of the larger of smoothed and latest RTT.
TEST(Sender, TimeThreshold) {
  Fixture f;
  f.flush(at(0));
  f.ack(at(80), {{1, 1}});
  EXPECT_EQ(f.stats().packets_lost, 0u);
  EXPECT_EQ(f.sender.next_timer(), at(100));
  f.sender.on_timer(at(99));
  EXPECT_EQ(f.stats().packets_lost, 0u);
  f.sender.on_timer(at(100));
  EXPECT_EQ(f.stats().packets_lost, 1u);
  EXPECT_EQ(f.last().lost, 1);
  EXPECT_EQ(f.last().acked, 0);
  EXPECT_EQ(f.stats().pto_count, 0u);
}

TEST(Sender, LossTimerFiresOnTheServersWheel) {
  TransportConfig config = plain();
  config.loss_timer_tick = ms(10);
  Fixture f(config);
  f.flush(at(0));
  f.ack(at(80), {{1, 1}});
  EXPECT_EQ(f.sender.next_timer(), at(110));  // 20 ms are two ticks, and one more
}

TEST(Sender, FirstProbeTimeoutIsTwiceTheInitialRtt) {
  Fixture f;
  f.flush(at(5));
  EXPECT_EQ(f.sender.next_timer(), at(105));
}

// RFC 9002 section 6.2: smoothed + 4 variations + largest ACK delay, doubled each time, two probes each.
TEST(Sender, ProbeTimeoutBacksOffAndProbesIgnoreTheWindow) {
  Fixture f;
  f.flush(at(0));
  f.ack(at(60), {{0, 19}}, ms(4));
  f.flush(at(60));
  const Duration pto = ms(60 + 4 * 30 + 4);
  TimePoint last_sent = at(60);
  for (int backoff = 0; backoff < 4; ++backoff) {
    const TimePoint fires = last_sent + pto * (1 << backoff);
    EXPECT_EQ(f.sender.next_timer(), fires) << backoff;
    f.sender.on_timer(fires);
    EXPECT_EQ(f.flush(fires), 2) << backoff;
    EXPECT_EQ(f.stats().pto_count, static_cast<std::uint32_t>(backoff + 1));
    last_sent = fires;
  }
  EXPECT_EQ(f.stats().packets_in_flight, 28u);
  EXPECT_EQ(f.stats().timeout_based_rtx_count, 0u);  // a bulk sender's probes carry new data
  f.ack(last_sent + ms(60), {{47, 47}});
  EXPECT_EQ(f.stats().pto_count, 0u);
  EXPECT_EQ(f.stats().total_pto_count, 4u);
}

TEST(Sender, AProbeWithoutNewDataRepeatsTheOldestPackets) {
  Fixture f(plain(), 20, FixedSizeApp{kPacket * 5});
  EXPECT_EQ(f.flush(at(0)), 5);
  f.sender.on_timer(at(100));
  EXPECT_EQ(f.flush(at(100)), 2);
  EXPECT_EQ(f.stats().timeout_based_rtx_count, 2u);
  EXPECT_EQ(f.stats().bytes_retransmitted, kPacket * 2);
  // The clones of 0 and 1 (5 and 6) arrive: their originals are lost too, but only the data of 2 is sent
  // again.
  f.ack(at(160), {{3, 6}});
  EXPECT_EQ(f.stats().packets_lost, 3u);
  EXPECT_EQ(f.flush(at(160)), 1);
  EXPECT_FALSE(f.sender.finished());
  f.ack(at(220), {{3, 7}});
  EXPECT_TRUE(f.sender.finished());
}

TEST(Sender, NoTimerWhenNothingIsInFlight) {
  Fixture f(plain(), 20, FixedSizeApp{kPacket * 2 + ByteCount(100)});
  EXPECT_EQ(f.flush(at(0)), 3);
  EXPECT_EQ(f.packet.payload, ByteCount(100));
  f.ack(at(50), {{0, 2}});
  EXPECT_TRUE(f.sender.finished());
  EXPECT_TRUE(f.sender.next_timer().is_never());
}

TEST(Sender, LostDataIsSentAgainAndCounted) {
  Fixture f(plain(), 20, FixedSizeApp{kPacket * 10});
  f.flush(at(0));
  f.ack(at(60), {{5, 9}});
  EXPECT_EQ(f.stats().packets_lost, 5u);  // 5 is four behind 9, the others more
  EXPECT_EQ(f.flush(at(60)), 5);
  EXPECT_EQ(f.stats().bytes_retransmitted, kPacket * 5);
  f.ack(at(120), {{5, 14}});
  EXPECT_TRUE(f.sender.finished());
}

// A packet that was only late is acknowledged after all: mvfst counts it and changes nothing else.
TEST(Sender, SpuriousLossIsCountedAndChangesNothingElse) {
  Fixture f;
  f.flush(at(0));
  f.ack(at(60), {{5, 9}});
  const std::uint64_t lost = f.stats().packets_lost;
  ASSERT_GT(lost, 0u);
  const ByteCount in_flight = f.stats().bytes_in_flight;
  const std::uint64_t acked = f.stats().packets_acked;
  f.ack(at(61), {{0, 9}});
  EXPECT_EQ(f.stats().packets_spuriously_lost, lost);
  EXPECT_EQ(f.stats().packets_lost, lost);
  EXPECT_EQ(f.stats().packets_acked, acked + 0u);
  EXPECT_EQ(f.stats().bytes_in_flight, in_flight);
}

// RFC 9002 section 7.6: losses over three probe timeouts, and nothing between them acknowledged.
TEST(Sender, PersistentCongestion) {
  for (const bool acked_between : {false, true}) {
    Fixture f(plain(), 3);
    f.flush(at(0));
    f.ack(at(20), {{0, 2}});
    f.flush(at(20));  // 3, 4, 5
    TimePoint now = at(20);
    for (int i = 0; i < 4; ++i) {
      now = f.sender.next_timer();
      f.sender.on_timer(now);
      f.flush(now);
    }
    const std::uint64_t newest = f.packet.packet_number;
    std::vector<AckRange> ranges{{newest, newest}};
    if (acked_between) ranges.push_back({7, 7});
    f.ack(now + ms(20), ranges);
    ASSERT_GT(f.last().lost, 0);
    EXPECT_EQ(f.last().persistent, !acked_between);
    EXPECT_EQ(f.stats().persistent_congestion_count, acked_between ? 0u : 1u);
  }
}

TEST(Sender, ForgetsLostPacketsAfterAProbeTimeout) {
  for (const bool late : {false, true}) {
    Fixture f;
    f.flush(at(0));
    f.ack(at(60), {{10, 19}});
    ASSERT_EQ(f.stats().packets_lost, 10u);
    std::uint64_t acked = 19;
    for (std::int64_t now = 60; now < (late ? 600 : 120); now += 60) {
      f.flush(at(now));
      acked += 10;
      f.ack(at(now + 60), {{10, acked}});
    }
    f.ack(at(late ? 601 : 121), {{0, acked}});
    EXPECT_EQ(f.stats().packets_spuriously_lost, late ? 0u : 10u);
  }
}

TEST(Sender, OnOffSourceStopsAndResumes) {
  OnOffApp app;
  app.on = ms(100);
  app.off = ms(50);
  app.exponential = false;
  Fixture f(plain(), 4, app);
  EXPECT_EQ(f.flush(at(0)), 4);
  f.ack(at(110), {{0, 3}});
  EXPECT_EQ(f.flush(at(110)), 0);
  EXPECT_EQ(f.sender.next_timer(), at(150));
  f.sender.on_timer(at(150));
  EXPECT_EQ(f.flush(at(150)), 4);
}

TEST(Sender, RatedSourceMarksItsPacketsAsLimitedByTheApplication) {
  OnOffApp app;
  app.on = ms(10'000);
  app.exponential = false;
  app.rate = Bandwidth::from_bytes_over(kPacket, ms(10));
  Fixture f(plain(), 20, app);
  EXPECT_EQ(f.flush(at(0)), 1);
  EXPECT_EQ(f.sender.next_timer(), at(10));
  EXPECT_EQ(f.flush(at(35)), 3);  // what three more intervals produced
  f.ack(at(60), {{0, 3}});
  EXPECT_EQ(f.last().app_limited, 3);  // all but the first, which nothing had held back
  EXPECT_EQ(f.flush(at(60)), 3);
}

// The first flights of real runs (scenario s17, 443 to 507 ms): 11 packets, the second of them short; the
// handshake's acknowledgements let two, then HANDSHAKE_DONE and one more go.
TEST(Sender, FirstFlightsAreThoseOfTheLogs) {
  TransportConfig config;
  Sender sender(config, std::make_unique<NewReno>(NewRenoConfig{}, config.window), BulkApp{});
  DataPacket packet;
  const auto flush = [&](TimePoint now) {
    std::vector<std::int64_t> sizes;
    while (sender.next_packet(now, packet)) sizes.push_back(packet.payload.value());
    return sizes;
  };
  const std::vector<std::int64_t> first = flush(at(0));
  ASSERT_EQ(first.size(), 11u);
  EXPECT_EQ(first[0], 1252);
  EXPECT_EQ(first[1], 752);
  EXPECT_EQ(first[2], 1252);
  AckFrame frame;
  frame.ranges = {{0, 0}};
  sender.on_ack(at(62), frame);
  EXPECT_EQ(flush(at(62)), (std::vector<std::int64_t>{1252, 1252}));
  frame.ranges = {{0, 1}};
  sender.on_ack(at(63), frame);
  EXPECT_EQ(flush(at(63)), (std::vector<std::int64_t>{41, 1252}));
}

TEST(Sender, ReportsReceivedBytesAndConserves) {
  Fixture f;
  f.flush(at(0));
  f.ack(at(60), {{12, 19}, {0, 3}});
  const ConnectionStats& stats = f.stats();
  EXPECT_EQ(stats.bytes_received, ByteCount(68));
  EXPECT_EQ(stats.packets_sent, stats.packets_acked + stats.packets_lost + stats.packets_in_flight);
  EXPECT_EQ(stats.bytes_sent, stats.bytes_acked + stats.bytes_lost + stats.bytes_in_flight);
}

TEST(Sender, RefusesBadConfiguration) {
  TransportConfig config;
  EXPECT_THROW(Sender(config, nullptr, BulkApp{}), std::invalid_argument);
  const auto controller = [&] { return std::make_unique<FixedController>(FixedConfig{}, config.window); };
  EXPECT_THROW(Sender(config, controller(), FixedSizeApp{ByteCount(0)}), std::invalid_argument);
  OnOffApp app;
  app.off = Duration::zero();
  EXPECT_THROW(Sender(config, controller(), app), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
