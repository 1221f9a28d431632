// What packets remember of the connection's deliveries, for controllers that measure rates.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "congestion/delivery_states.h"
#include "transport/sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }

// Keeps copies of what it is shown.
struct Recorder final : CongestionController {
  struct Packet {
    std::uint64_t number;
    ByteCount sent_bytes;
    DeliveryState at_send;
  };
  void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats&) override {
    acked.clear();
    lost.clear();
    if (ack != nullptr) {
      for (const AckedPacket& p : ack->packets) acked.push_back({p.packet_number, p.sent_bytes, *p.at_send});
      now = ack->delivery;
    }
    if (loss != nullptr) {
      for (const LostPacket& p : loss->packets) lost.push_back({p.packet_number, p.sent_bytes, *p.at_send});
    }
  }
  ByteCount congestion_window() const override { return window; }

  ByteCount window = kPacket * 10;
  std::vector<Packet> acked, lost;
  DeliveryState now;
};

struct Story {
  Story() {
    TransportConfig config;
    config.handshake_packets = 0;
    auto made = std::make_unique<Recorder>();
    seen = made.get();
    sender = std::make_unique<Sender>(config, std::move(made), BulkApp{});
  }
  void flush(TimePoint now) {
    DataPacket packet;
    while (sender->next_packet(now, packet)) {
    }
  }
  void ack(TimePoint now, std::vector<AckRange> falling, Duration delay = Duration::zero()) {
    AckFrame frame;
    frame.ranges = std::move(falling);
    frame.ack_delay = delay;
    frame.payload = ByteCount(68);
    sender->on_ack(now, frame);
    flush(now);
  }

  Recorder* seen;
  std::unique_ptr<Sender> sender;
};

TEST(RateSampling, TheFirstFlightKnowsOfNoDelivery) {
  Story story;
  story.flush(at(5));
  story.ack(at(45), {{0, 1}});
  ASSERT_EQ(story.seen->acked.size(), 2U);
  EXPECT_EQ(story.seen->acked[1].sent_bytes, kPacket * 2);
  EXPECT_EQ(story.seen->acked[1].at_send.delivered, ByteCount::zero());
  EXPECT_EQ(story.seen->acked[1].at_send.flight_start, at(5));
}

// Ten packets in flight; the ACK of four lets four more go, which remember that ACK and not the next.
TEST(RateSampling, PacketsRememberTheAckBeforeThem) {
  Story story;
  story.flush(at(0));
  story.ack(at(40), {{0, 3}}, Duration::from_ms(3));
  story.ack(at(50), {{0, 9}});
  story.ack(at(80), {{0, 13}});
  ASSERT_EQ(story.seen->acked.size(), 4U);
  for (const auto& packet : story.seen->acked) {
    EXPECT_EQ(packet.at_send.delivered, kPacket * 4);
    EXPECT_EQ(packet.at_send.sent, kPacket * 10);
    EXPECT_EQ(packet.at_send.ack_time, at(40));
    EXPECT_EQ(packet.at_send.received_time, at(37));
    EXPECT_EQ(packet.at_send.acked_sent_time, at(0));
  }
  EXPECT_EQ(story.seen->acked[0].sent_bytes, kPacket * 11);
  EXPECT_EQ(story.seen->now.delivered, kPacket * 14);
  EXPECT_EQ(story.seen->now.sent, kPacket * 20);
  EXPECT_EQ(story.seen->now.acked_sent_time, at(40));
}

// What was in flight when a packet left is what had been sent, less what was delivered or lost by then.
TEST(RateSampling, LossesCountInTheStateOfLaterPackets) {
  Story story;
  story.flush(at(0));
  story.ack(at(40), {{1, 9}});  // packet 0 is more than three behind
  ASSERT_EQ(story.seen->lost.size(), 1U);
  EXPECT_EQ(story.seen->lost[0].number, 0U);
  EXPECT_EQ(story.seen->lost[0].at_send.lost, ByteCount::zero());
  EXPECT_EQ(story.seen->now.lost, kPacket);
  story.ack(at(80), {{1, 12}});
  const auto& packet = story.seen->acked.front();
  EXPECT_EQ(packet.at_send.lost, kPacket);
  EXPECT_EQ(packet.sent_bytes - packet.at_send.delivered - packet.at_send.lost, kPacket);
}

TEST(RateSampling, AFlightAfterSilenceStartsItsOwnClock) {
  Story story;
  story.flush(at(0));
  story.seen->window = ByteCount::zero();
  story.ack(at(40), {{0, 9}});
  story.seen->window = kPacket * 10;
  story.flush(at(500));
  story.ack(at(540), {{0, 19}});
  EXPECT_EQ(story.seen->acked.front().at_send.ack_time, at(40));
  EXPECT_EQ(story.seen->acked.front().at_send.flight_start, at(500));
}

TEST(DeliveryStates, KeepTheOldestThatIsNeededHoweverManyFollow) {
  DeliveryStates states;
  DeliveryState state;
  for (std::int64_t i = 1; i <= 100; ++i) {
    state.delivered = ByteCount(i);
    states.push(state, 1);
  }
  for (DeliveryStates::Id id = 1; id <= 100; ++id) EXPECT_EQ(states[id].delivered, ByteCount(id));
  EXPECT_EQ(states.current(), 100U);
}

}  // namespace
}  // namespace mvfstrl
