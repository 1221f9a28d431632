#include "path/link_log.h"

#include <gtest/gtest.h>

#include "path/direction.h"

namespace mvfstrl {
namespace {

using Kind = LinkEvent::Kind;

// One packet a millisecond at 12 Mbit/s.
DirectionConfig one_packet_a_ms(std::int64_t queue_packets) {
  DirectionConfig config;
  config.rate = ConstantRate{Bandwidth::from_mbps(12)};
  config.queue.kind = QueueKind::kDropTail;
  config.queue.packets = queue_packets;
  config.delay = Duration::from_ms(20);
  return config;
}

Packet packet() {
  Packet packet;
  packet.size_bytes = 1500;
  return packet;
}

void drain(Direction& direction, TimePoint until) {
  Packet out;
  while (direction.advance(until, out)) {
  }
}

TEST(LinkLog, TellsArrivalsDropsAndDeparturesInTheirOrder) {
  Direction direction(one_packet_a_ms(1), Direction::Order::kLinkLossDelay, Rng(1));
  LinkLog log;
  direction.record(&log);
  for (int i = 0; i < 3; ++i) direction.enter(TimePoint::from_ms(5), packet());  // wire, queue, dropped
  drain(direction, TimePoint::from_ms(100));

  ASSERT_EQ(log.size(), 6U);
  const Kind kinds[] = {Kind::kArrival, Kind::kArrival,   Kind::kArrival,
                        Kind::kDrop,    Kind::kDeparture, Kind::kDeparture};
  for (std::size_t i = 0; i < log.size(); ++i) EXPECT_EQ(log[i].kind, kinds[i]) << i;
  EXPECT_EQ(log[3].at, TimePoint::from_ms(5));
  EXPECT_EQ(log[3].size_bytes, 1500U);
  EXPECT_EQ(log[4].at, TimePoint::from_ms(6));
  EXPECT_EQ(log[5].at, TimePoint::from_ms(7));
  EXPECT_EQ(log[5].entered, TimePoint::from_ms(5));
}

TEST(LinkLog, HoldsDeparturesOfPacketsThatAreLostBehindTheLink) {
  DirectionConfig config = one_packet_a_ms(10);
  config.loss = 1;
  Direction direction(config, Direction::Order::kLinkLossDelay, Rng(1));
  LinkLog log;
  direction.record(&log);
  direction.enter(TimePoint::zero(), packet());
  drain(direction, TimePoint::from_ms(100));
  ASSERT_EQ(log.size(), 2U);
  EXPECT_EQ(log[1].kind, Kind::kDeparture);
  EXPECT_EQ(direction.counters().delivered.packets, 0);
}

TEST(LinkLog, DatesTheArrivalOfAnAckAtTheLinkBehindTheDelay) {
  Direction direction(one_packet_a_ms(10), Direction::Order::kDelayLossLink, Rng(1));
  LinkLog log;
  direction.record(&log);
  direction.enter(TimePoint::from_ms(1), packet());
  drain(direction, TimePoint::from_ms(100));
  ASSERT_EQ(log.size(), 2U);
  EXPECT_EQ(log[0].at, TimePoint::from_ms(21));
  EXPECT_EQ(log[1].at, TimePoint::from_ms(22));
}

TEST(LinkLog, StopsWhenToldTo) {
  Direction direction(one_packet_a_ms(10), Direction::Order::kLinkLossDelay, Rng(1));
  LinkLog log;
  direction.record(&log);
  direction.enter(TimePoint::zero(), packet());
  direction.record(nullptr);
  drain(direction, TimePoint::from_ms(100));
  EXPECT_EQ(log.size(), 1U);
}

}  // namespace
}  // namespace mvfstrl
