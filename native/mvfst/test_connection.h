// A connection that looks to a congestion controller like mvfst's, as far as the adapter looks.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "mvfst/adapter.h"

namespace mvfstrl {

using SteadyTime = std::chrono::steady_clock::time_point;

enum class FakeSpace : std::uint8_t { Initial, Handshake, AppData };

struct FakePacket {
  struct Header {
    std::uint64_t number = 0;
    FakeSpace space = FakeSpace::AppData;
    std::uint64_t getPacketSequenceNum() const { return number; }
    FakeSpace getPacketNumberSpace() const { return space; }
  };
  struct Packet {
    Header header;
  } packet;
  struct Metadata {
    SteadyTime time;
    std::uint16_t encodedSize = 1252;
  } metadata;
  bool isAppLimited = false;
};

struct FakeAck {
  struct Acked {
    std::uint64_t packetNum = 0;
  };
  SteadyTime ackTime;
  std::optional<std::chrono::nanoseconds> rttSample;
  std::chrono::nanoseconds ackDelay{0};
  FakeSpace packetNumberSpace = FakeSpace::AppData;
  std::vector<Acked> ackedPackets;
};

struct FakeLoss {
  struct Lost {
    std::uint64_t packetNum = 0;
  };
  SteadyTime lossTime;
  std::optional<SteadyTime> smallestLostSentTime, largestLostSentTime;
  std::vector<Lost> lostPacketDetails;
};

struct FakeConnection {
  struct LossState {
    std::uint64_t inflightBytes = 0, totalBytesRecvd = 0, totalStreamBytesSent = 0,
                  totalNewStreamBytesSent = 0;
    std::uint32_t totalPTOCount = 0;
  } lossState;
};

// Keeps mvfst's books and order of calls: totals first, then the controller. It may stand for Teller in a
// replay (environment/test_replay.h).
class FakeMvfst {
 public:
  explicit FakeMvfst(Session& session) : adapter(connection, session, zero) {}

  SteadyTime steady(TimePoint at) const { return adapter.steady(at); }

  void sent(TimePoint at, std::uint64_t number, ByteCount size, ByteCount again,
            FakeSpace space = FakeSpace::AppData) {
    const auto bytes = static_cast<std::uint64_t>(size.value());
    auto& state = connection.lossState;
    state.totalStreamBytesSent += bytes;
    state.totalNewStreamBytesSent += bytes - static_cast<std::uint64_t>(again.value());
    state.inflightBytes += bytes;
    const FakePacket packet{.packet = {{number, space}},
                            .metadata = {steady(at), static_cast<std::uint16_t>(bytes)},
                            .isAppLimited = adapter.app_limited()};
    outstanding.push_back(packet);
    adapter.packet_sent(packet);
  }
  void received(ByteCount bytes) {
    connection.lossState.totalBytesRecvd += static_cast<std::uint64_t>(bytes.value());
  }
  void rtt(Duration latest, Duration ack_delay) {
    ack.rttSample = std::chrono::nanoseconds(latest.ns());
    ack.ackDelay = std::chrono::nanoseconds(ack_delay.ns());
  }
  void acked(std::uint64_t number) {
    ack.ackedPackets.push_back({number});
    take(number, ack.packetNumberSpace);
  }
  void lost(std::uint64_t number, FakeSpace space = FakeSpace::AppData) {
    const SteadyTime sent = take(number, space);
    loss.smallestLostSentTime = std::min(sent, loss.smallestLostSentTime.value_or(sent));
    loss.largestLostSentTime = std::max(sent, loss.largestLostSentTime.value_or(sent));
    loss.lostPacketDetails.push_back({number});
  }
  void probe_timeout() { ++connection.lossState.totalPTOCount; }
  bool flush(TimePoint at) {
    FakeAck acked = std::exchange(ack, {});
    FakeLoss lost = std::exchange(loss, {});
    acked.ackTime = lost.lossTime = steady(at);
    if (acked.ackedPackets.empty() && lost.lostPacketDetails.empty()) return false;  // mvfst says nothing
    return adapter.ack_or_loss(acked.ackedPackets.empty() ? nullptr : &acked,
                               lost.lostPacketDetails.empty() ? nullptr : &lost);
  }
  void before_poll() { adapter.refresh(); }

  const SteadyTime zero{std::chrono::hours(1)};
  FakeConnection connection;
  MvfstAdapter<FakeConnection> adapter;
  FakeAck ack;  // under way, until flush()
  FakeLoss loss;
  std::vector<FakePacket> outstanding;

 private:
  // Out of flight; when it was sent.
  SteadyTime take(std::uint64_t number, FakeSpace space) {
    const auto packet = std::find_if(outstanding.begin(), outstanding.end(), [&](const FakePacket& p) {
      return p.packet.header.number == number && p.packet.header.space == space;
    });
    if (packet == outstanding.end()) return {};
    const SteadyTime sent = packet->metadata.time;
    connection.lossState.inflightBytes -= packet->metadata.encodedSize;
    outstanding.erase(packet);
    return sent;
  }
};

}  // namespace mvfstrl
