#include "host/ledger.h"

#include <gtest/gtest.h>

#include <vector>

namespace mvfstrl {
namespace {

constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }
constexpr ByteCount kFull{1252};

HostedPacket packet(std::uint64_t number, ByteCount size = kFull) { return {.number = number, .size = size}; }

// Ten packets, a millisecond apart.
PacketLedger with_ten() {
  PacketLedger ledger;
  for (std::uint64_t i = 0; i < 10; ++i) ledger.packet_sent(at(static_cast<std::int64_t>(i)), packet(i));
  return ledger;
}

void expect_balance(const PacketLedger& ledger) {
  const ConnectionStats& s = ledger.stats();
  EXPECT_EQ(s.packets_sent, s.packets_acked + s.packets_lost + s.packets_in_flight +
                                static_cast<std::uint64_t>(ledger.discarded()));
  EXPECT_GE(s.bytes_in_flight, ByteCount::zero());
}

TEST(PacketLedger, OneFlushIsOneEventForAcknowledgementsAndLosses) {
  PacketLedger ledger = with_ten();
  ledger.rtt_sample(Duration::from_ms(40), Duration::from_ms(2));
  for (const std::uint64_t number : {5, 4, 3}) ledger.packet_acked(number);
  ledger.packet_lost(1);
  ledger.packet_lost(0);
  ASSERT_TRUE(ledger.flush(at(45)));
  const AckEvent& ack = *ledger.ack();
  ASSERT_EQ(ack.packets.size(), 3U);
  EXPECT_EQ(ack.packets[0].packet_number, 3U);  // rising
  EXPECT_EQ(ack.packets[2].packet_number, 5U);
  EXPECT_EQ(ack.packets[2].sent_time, at(5));
  EXPECT_EQ(ack.packets[2].sent_bytes, kFull * 6);
  EXPECT_EQ(ack.acked_bytes, kFull * 3);
  EXPECT_EQ(ack.prior_in_flight, kFull * 10);
  EXPECT_EQ(ack.bytes_in_flight, kFull * 5);
  EXPECT_EQ(ack.rtt, Duration::from_ms(40));
  EXPECT_EQ(ack.ack_delay, Duration::from_ms(2));
  EXPECT_EQ(ack.largest_sent, 9U);
  EXPECT_EQ(ack.delivery.delivered, kFull * 3);
  EXPECT_EQ(ack.delivery.lost, kFull * 2);
  EXPECT_EQ(ack.delivery.received_time, at(43));
  EXPECT_EQ(ack.delivery.acked_sent_time, at(5));
  const LossEvent& loss = *ledger.loss();
  ASSERT_EQ(loss.packets.size(), 2U);
  EXPECT_EQ(loss.packets[0].packet_number, 0U);
  EXPECT_EQ(loss.lost_bytes, kFull * 2);
  EXPECT_FALSE(loss.persistent);
  EXPECT_EQ(ledger.rtt().latest(), Duration::from_ms(40));
  ledger.settle();
  EXPECT_FALSE(ledger.flush(at(46)));  // nothing new
  expect_balance(ledger);
}

TEST(PacketLedger, PacketsKeepTheDeliveryStateThatTheyWereSentIn) {
  PacketLedger ledger = with_ten();
  ledger.packet_acked(0);
  ledger.flush(at(40));
  EXPECT_EQ(ledger.ack()->packets[0].at_send->delivered, ByteCount::zero());
  EXPECT_EQ(ledger.ack()->packets[0].at_send->flight_start, at(0));
  ledger.settle();
  ledger.packet_sent(at(41), packet(10));
  ledger.packet_acked(10);
  ledger.packet_acked(9);
  ledger.flush(at(80));
  EXPECT_EQ(ledger.ack()->packets[0].at_send->delivered, ByteCount::zero());
  EXPECT_EQ(ledger.ack()->packets[1].at_send->delivered, kFull);
  EXPECT_EQ(ledger.ack()->packets[1].at_send->ack_time, at(40));
}

TEST(PacketLedger, AFlightStartsWhereNothingWasUnderWay) {
  PacketLedger ledger;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const TimePoint sent = at(100 * static_cast<std::int64_t>(i + 1));
    ledger.packet_sent(sent, packet(i));
    ledger.packet_acked(i);
    ledger.flush(sent + Duration::from_ms(40));
    EXPECT_EQ(ledger.ack()->packets[0].at_send->flight_start, sent);
    ledger.settle();
  }
}

TEST(PacketLedger, WhatIsUnknownRepeatedOrMisnumberedIsCountedAndNothingElse) {
  PacketLedger ledger = with_ten();
  ledger.packet_acked(77);
  ledger.packet_acked(3);
  ledger.packet_acked(3);
  ledger.packet_lost(3);
  ledger.packet_lost(1'000'000'000'000);
  EXPECT_TRUE(ledger.flush(at(40)));
  EXPECT_EQ(ledger.ack()->packets.size(), 1U);
  EXPECT_EQ(ledger.loss(), nullptr);
  ledger.settle();
  ledger.packet_discarded(3);
  ledger.packet_discarded(99);
  EXPECT_FALSE(ledger.packet_sent(at(41), packet(9)).has_value());
  EXPECT_EQ(ledger.counters().unknown, 3);
  EXPECT_EQ(ledger.counters().repeated, 3);
  EXPECT_EQ(ledger.counters().misnumbered, 1);
  EXPECT_EQ(ledger.stats().packets_sent, 10U);
  expect_balance(ledger);
}

TEST(PacketLedger, ALossThatIsAcknowledgedAfterAllStaysALoss) {
  PacketLedger ledger = with_ten();
  ledger.rtt_sample(Duration::from_ms(40), Duration::zero());
  ledger.packet_lost(0);
  ledger.packet_acked(1);
  ledger.flush(at(45));
  ledger.settle();
  ledger.packet_acked(0);
  EXPECT_FALSE(ledger.flush(at(50)));
  EXPECT_EQ(ledger.stats().packets_spuriously_lost, 1U);
  EXPECT_EQ(ledger.stats().packets_lost, 1U);
  expect_balance(ledger);
  // Much later it is forgotten.
  ledger.packet_lost(2);
  ledger.packet_acked(3);
  ledger.flush(at(60));
  ledger.settle();
  ledger.packet_acked(4);
  ledger.flush(at(60'000));
  ledger.settle();
  ledger.packet_acked(2);
  EXPECT_FALSE(ledger.flush(at(60'001)));
  EXPECT_EQ(ledger.counters().unknown, 1);
}

TEST(PacketLedger, NumbersMayLeaveGaps) {
  PacketLedger ledger;
  for (const std::uint64_t number : {3, 4, 90, 1'000, 1'001, 4'000'000})
    ledger.packet_sent(at(1), packet(number));
  for (const std::uint64_t number : {4'000'000, 1'000, 4}) ledger.packet_acked(number);
  for (const std::uint64_t number : {5, 89, 999, 2}) ledger.packet_acked(number);
  ledger.packet_lost(90);
  ASSERT_TRUE(ledger.flush(at(9)));
  EXPECT_EQ(ledger.ack()->packets.size(), 3U);
  EXPECT_EQ(ledger.loss()->packets.size(), 1U);
  EXPECT_EQ(ledger.counters().unknown, 4);
  expect_balance(ledger);
}

TEST(PacketLedger, DiscardedPacketsAreNeitherAcknowledgedNorLost) {
  PacketLedger ledger = with_ten();
  ledger.packet_discarded(0);
  ledger.packet_discarded(9);
  EXPECT_EQ(ledger.stats().bytes_in_flight, kFull * 8);
  EXPECT_EQ(ledger.discarded(), 2);
  EXPECT_FALSE(ledger.flush(at(20)));
  expect_balance(ledger);
}

TEST(PacketLedger, AFlightThatShrinksLosesItsOldestPackets) {
  PacketLedger ledger = with_ten();
  ledger.packet_discarded(1);
  ledger.shrink_flight(kFull * 6);
  EXPECT_EQ(ledger.stats().bytes_in_flight, kFull * 6);
  EXPECT_EQ(ledger.discarded(), 4);
  ledger.packet_acked(3);  // the fourth: out of the flight
  EXPECT_FALSE(ledger.flush(at(20)));
  ledger.packet_acked(4);
  EXPECT_TRUE(ledger.flush(at(21)));
  expect_balance(ledger);
}

TEST(PacketLedger, LossesOverThreeProbeTimeoutsArePersistentCongestion) {
  const auto persistent = [](bool one_between_is_acknowledged) {
    PacketLedger ledger;
    ledger.packet_sent(at(0), packet(0));
    ledger.rtt_sample(Duration::from_ms(40), Duration::zero());
    ledger.packet_acked(0);
    ledger.flush(at(40));
    ledger.settle();
    for (std::uint64_t i = 1; i <= 5; ++i) ledger.packet_sent(at(200 * static_cast<int>(i)), packet(i));
    for (std::uint64_t i = 1; i <= 4; ++i) {
      if (i == 3 && one_between_is_acknowledged) {
        ledger.packet_acked(i);
      } else {
        ledger.packet_lost(i);
      }
    }
    ledger.packet_acked(5);
    ledger.flush(at(1040));
    return ledger.loss()->persistent;
  };
  EXPECT_TRUE(persistent(false));
  EXPECT_FALSE(persistent(true));
}

TEST(PacketLedger, ProbeTimeoutsCountUntilSomethingIsAcknowledged) {
  PacketLedger ledger = with_ten();
  ledger.probe_timeout();
  ledger.probe_timeout();
  ledger.packet_sent(at(300), {.number = 10, .size = kFull, .retransmitted = kFull});
  EXPECT_EQ(ledger.stats().pto_count, 2U);
  EXPECT_EQ(ledger.stats().timeout_based_rtx_count, 1U);
  ledger.packet_acked(10);
  ledger.flush(at(340));
  ledger.settle();
  EXPECT_EQ(ledger.stats().pto_count, 0U);
  EXPECT_EQ(ledger.stats().total_pto_count, 2U);
  ledger.packet_sent(at(341), {.number = 11, .size = kFull, .retransmitted = kFull});
  EXPECT_EQ(ledger.stats().timeout_based_rtx_count, 1U);
  EXPECT_EQ(ledger.stats().bytes_retransmitted, kFull * 2);
}

TEST(PacketLedger, ThousandsLostAtOnceAndPacketsOfNoSize) {
  PacketLedger ledger;
  for (std::uint64_t i = 0; i < 5'000; ++i) {
    ledger.packet_sent(at(0), packet(i, i % 2 == 0 ? ByteCount::zero() : kFull));
  }
  for (std::uint64_t i = 0; i < 4'999; ++i) ledger.packet_lost(i);
  ledger.packet_acked(4'999);
  ledger.rtt_sample(Duration::zero(), Duration::zero());  // the clock stood still: no sample
  ASSERT_TRUE(ledger.flush(at(0)));
  EXPECT_EQ(ledger.loss()->packets.size(), 4'999U);
  EXPECT_FALSE(ledger.ack()->rtt.has_value());
  EXPECT_FALSE(ledger.rtt().has_sample());
  EXPECT_EQ(ledger.stats().bytes_in_flight, ByteCount::zero());
  expect_balance(ledger);
}

}  // namespace
}  // namespace mvfstrl
