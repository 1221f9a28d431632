// The adapter beside a fake mvfst: no mvfst is needed.
#include "mvfst/adapter.h"

#include <gtest/gtest.h>

#include "environment/test_replay.h"
#include "mvfst/test_connection.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kFull{1252};
constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }

struct Hosted {
  explicit Hosted(const SessionConfig& config = {}) : session(config), mvfst(session) {}
  const ConnectionStats& stats() const { return session.ledger().stats(); }

  Session session;
  FakeMvfst mvfst;
};

// ---- one recorded sequence of events, in virtual time and through mvfst's words

TEST(MvfstAdapter, AnAgentSeesInMvfstWhatItSeesInVirtualTime) {
  const Comparison<FakeMvfst> both(lossy_config());
  expect_same(both);
  EXPECT_GT(both.session->ledger().stats().packets_lost, 10U);
}

TEST(MvfstAdapter, SoItDoesThroughProbeTimeoutsAndRetransmissions) {
  EnvironmentConfig config = lossy_config();
  config.scenarios[0].loss = Range::constant(0.3);
  const Comparison<FakeMvfst> both(config);
  expect_same(both);
  EXPECT_GT(both.session->ledger().stats().total_pto_count, 0U);
  EXPECT_GT(both.session->ledger().stats().bytes_retransmitted, kFull * 10);
}

TEST(MvfstAdapter, OurControllersDriveTheWindowThereAsInVirtualTime) {
  for (const SchemeConfig& scheme : {SchemeConfig(CubicConfig{}), SchemeConfig(NewRenoConfig{}),
                                     SchemeConfig(BbrConfig{}), SchemeConfig(CopaConfig{})}) {
    SCOPED_TRACE(scheme_name(scheme));
    EnvironmentConfig config = lossy_config();
    config.flows[0].controller = scheme;
    expect_same(Comparison<FakeMvfst>(config));
  }
}

// ---- what only mvfst has

TEST(MvfstAdapter, HandshakePacketsFillTheWindowAndAreNotTheSessions) {
  Hosted h;
  h.mvfst.sent(at(0), 7, kFull, {}, FakeSpace::Initial);
  EXPECT_EQ(h.stats().packets_sent, 0U);
  EXPECT_EQ(h.mvfst.adapter.writable(), 9U * 1252);
  h.mvfst.sent(at(1), 7, kFull, {});  // of data, under the same number
  EXPECT_EQ(h.stats().packets_sent, 1U);
  h.mvfst.ack.packetNumberSpace = FakeSpace::Initial;
  h.mvfst.rtt(Duration::from_ms(30), Duration::zero());
  h.mvfst.acked(7);
  EXPECT_FALSE(h.mvfst.flush(at(30)));
  EXPECT_EQ(h.stats().packets_in_flight, 1U);
  EXPECT_EQ(h.session.ledger().rtt().smoothed(), Duration::from_ms(30));  // but their round trip counts
}

TEST(MvfstAdapter, ALostHandshakePacketIsNotTheDataPacketOfItsNumber) {
  Hosted h;
  h.mvfst.sent(at(0), 7, kFull, {}, FakeSpace::Handshake);
  h.mvfst.sent(at(5), 7, kFull, {});
  h.mvfst.lost(7, FakeSpace::Handshake);
  EXPECT_FALSE(h.mvfst.flush(at(40)));
  EXPECT_EQ(h.stats().packets_lost, 0U);
  h.mvfst.lost(7);
  EXPECT_TRUE(h.mvfst.flush(at(50)));
  EXPECT_EQ(h.stats().packets_lost, 1U);
}

// Keys that are dropped leave packets behind of which mvfst says nothing more.
TEST(MvfstAdapter, AHandshakePacketThatIsForgottenDoesNotHideALossOfData) {
  Hosted h;
  h.mvfst.sent(at(0), 7, kFull, {}, FakeSpace::Initial);
  h.mvfst.sent(at(60), 7, kFull, {});
  h.mvfst.lost(7);
  EXPECT_TRUE(h.mvfst.flush(at(100)));
  EXPECT_EQ(h.stats().packets_lost, 1U);
}

TEST(MvfstAdapter, ARefusedFlightOf0RttIsNeitherAcknowledgedNorLost) {
  Hosted h;
  for (std::uint64_t i = 0; i < 4; ++i) h.mvfst.sent(at(0), i, kFull, {});
  h.mvfst.adapter.flight_left(1252);
  EXPECT_EQ(h.stats().packets_in_flight, 1U);
  EXPECT_EQ(h.session.ledger().discarded(), 3);
  EXPECT_EQ(h.stats().packets_lost, 0U);
}

TEST(MvfstAdapter, TheRestOfAWindowIsWritableAndAnOverfullOneIsNot) {
  Hosted h;
  for (std::uint64_t i = 0; i < 10; ++i) h.mvfst.sent(at(0), i, ByteCount(1250), {});
  EXPECT_EQ(h.mvfst.adapter.writable(), 20U);
  h.mvfst.sent(at(0), 10, kFull, {});
  EXPECT_EQ(h.mvfst.adapter.writable(), 0U);
}

TEST(MvfstAdapter, AnApplicationWithoutMoreLimitsUntilTheWindowIsFull) {
  Hosted h;
  h.mvfst.sent(at(0), 0, kFull, {});
  h.mvfst.adapter.set_app_limited();
  EXPECT_TRUE(h.mvfst.adapter.app_limited());
  for (std::uint64_t i = 1; i < 9; ++i) h.mvfst.sent(at(1), i, kFull, {});
  EXPECT_TRUE(h.mvfst.adapter.app_limited());
  h.mvfst.sent(at(1), 9, kFull, {});
  EXPECT_FALSE(h.mvfst.adapter.app_limited());
  h.mvfst.adapter.set_app_limited();  // with a full window it is not the application
  EXPECT_FALSE(h.mvfst.adapter.app_limited());
}

TEST(MvfstAdapter, RetransmissionsCountFromTheTotalsOfTheStreams) {
  Hosted h;
  h.mvfst.sent(at(0), 0, kFull, {});
  h.mvfst.sent(at(1), 1, kFull, ByteCount(700));
  EXPECT_EQ(h.stats().bytes_retransmitted, ByteCount(700));
  EXPECT_EQ(h.stats().timeout_based_rtx_count, 0U);
  h.mvfst.probe_timeout();
  h.mvfst.sent(at(90), 2, kFull, kFull);
  EXPECT_EQ(h.stats().bytes_retransmitted, ByteCount(1952));
  EXPECT_EQ(h.stats().timeout_based_rtx_count, 1U);
  EXPECT_EQ(h.stats().total_pto_count, 1U);
}

TEST(MvfstAdapter, WhatMvfstCountsByItselfComesWithTheNextEvent) {
  Hosted h;
  h.mvfst.sent(at(0), 0, kFull, {});
  h.mvfst.received(ByteCount(64));
  h.mvfst.acked(0);
  ASSERT_TRUE(h.mvfst.flush(at(40)));
  EXPECT_EQ(h.stats().bytes_received, ByteCount(64));
}

}  // namespace
}  // namespace mvfstrl
