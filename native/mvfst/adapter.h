// What mvfst tells a congestion controller (congestion_control/CongestionController.h), told to a session
// (host/session.h). A template over mvfst's types, so that no header of mvfst's is needed here: tests drive
// it with a fake connection.
//
// Only packets of the application's number space are the session's. Those of the handshake count in what is
// writable, because mvfst's in-flight bytes hold them, and their round-trip times count too.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/units.h"
#include "host/session.h"

namespace mvfstrl {

// Connection: quic::QuicConnectionStateBase, or what has its lossState.
template <class Connection>
class MvfstAdapter {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // `zero`: the session's time zero.
  MvfstAdapter(const Connection& connection, Session& session, SteadyTime zero)
      : connection_(connection), session_(session), zero_(zero), seen_(totals()) {}

  TimePoint time(SteadyTime at) const {
    return TimePoint::zero() +
           Duration::from_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(at - zero_).count());
  }
  SteadyTime steady(TimePoint at) const {
    return zero_ + std::chrono::nanoseconds((at - TimePoint::zero()).ns());
  }

  // What mvfst counts beside its events; before a window may close.
  void refresh() { catch_up(totals()); }

  // onPacketSent: the packet is in the connection's totals already.
  template <class Packet>
  void packet_sent(const Packet& packet) {
    const auto& header = packet.packet.header;
    const Totals now = totals();
    catch_up(now);
    const std::uint64_t repeated = now.repeated - std::exchange(seen_.repeated, now.repeated);
    const auto space = header.getPacketNumberSpace();
    if (space != std::remove_cv_t<decltype(space)>::AppData) {
      handshake_.push_back({header.getPacketSequenceNum(), packet.metadata.time});
      return;
    }
    session_.packet_sent(time(packet.metadata.time),
                         {.number = header.getPacketSequenceNum(),
                          .size = bytes(packet.metadata.encodedSize),
                          .app_limited = packet.isAppLimited,
                          .retransmitted = std::min(bytes(repeated), bytes(packet.metadata.encodedSize))});
    if (writable() == 0) app_limited_ = false;  // the window binds again
  }

  // onPacketAckOrLoss. False: nothing of the session's was in it.
  template <class Ack, class Loss>
  bool ack_or_loss(const Ack* ack, const Loss* loss) {
    refresh();
    if (ack != nullptr) read_ack(*ack);
    if (loss != nullptr && !of_handshake(*loss)) {
      for (const auto& packet : loss->lostPacketDetails) session_.packet_lost(packet.packetNum);
    }
    return session_.flush(time(ack != nullptr ? ack->ackTime : loss->lossTime));
  }

  // onRemoveBytesFromInflight: packets of a refused 0-RTT flight are out of it, the oldest there are. mvfst
  // says what is left.
  void flight_left(std::uint64_t left) { session_.shrink_flight(bytes(left)); }

  // getWritableBytes. The last packet may be larger, as mvfst has it.
  std::uint64_t writable() const {
    const auto window = static_cast<std::uint64_t>(session_.congestion_window().value());
    const std::uint64_t in_flight = connection_.lossState.inflightBytes;
    return window > in_flight ? window - in_flight : 0;
  }

  // setAppLimited: until packets fill the window again, they are sent by an application without more.
  void set_app_limited() { app_limited_ = writable() > 0; }
  bool app_limited() const { return app_limited_; }

 private:
  struct Totals {
    std::uint64_t probe_timeouts = 0, received = 0, repeated = 0;
  };
  struct HandshakePacket {
    std::uint64_t number = 0;
    SteadyTime sent;
  };

  static ByteCount bytes(std::uint64_t value) { return ByteCount(static_cast<std::int64_t>(value)); }
  template <class Time>
  static Duration duration(Time time) {
    return Duration::from_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
  }

  Totals totals() const {
    const auto& state = connection_.lossState;
    return {state.totalPTOCount, state.totalBytesRecvd,
            state.totalStreamBytesSent - state.totalNewStreamBytesSent};
  }
  void catch_up(const Totals& now) {
    for (; seen_.probe_timeouts < now.probe_timeouts; ++seen_.probe_timeouts) session_.probe_timeout();
    session_.bytes_received(bytes(now.received - std::exchange(seen_.received, now.received)));
  }

  template <class Ack>
  void read_ack(const Ack& ack) {
    if (ack.rttSample) session_.rtt_sample(duration(*ack.rttSample), duration(ack.ackDelay));
    const bool ours = ack.packetNumberSpace == std::remove_cv_t<decltype(ack.packetNumberSpace)>::AppData;
    for (const auto& packet : ack.ackedPackets) {
      if (ours) {
        session_.packet_acked(packet.packetNum);
      } else {
        std::erase_if(handshake_, [&](const HandshakePacket& p) { return p.number == packet.packetNum; });
      }
    }
  }

  // A loss names numbers but no space, and all spaces begin at the same number. It is of one space, and says
  // when its packets were sent.
  template <class Loss>
  bool of_handshake(const Loss& loss) {
    const auto is_lost = [&](const HandshakePacket& packet) {
      return packet.sent >= loss.smallestLostSentTime && packet.sent <= loss.largestLostSentTime &&
             std::any_of(loss.lostPacketDetails.begin(), loss.lostPacketDetails.end(),
                         [&](const auto& lost) { return lost.packetNum == packet.number; });
    };
    return std::erase_if(handshake_, is_lost) > 0;
  }

  const Connection& connection_;
  Session& session_;
  SteadyTime zero_;
  Totals seen_;
  std::vector<HandshakePacket> handshake_;  // a handful
  bool app_limited_ = false;
};

}  // namespace mvfstrl
