// The factories that put our controllers into any mvfst, beside a connection that is none.
#include <folly/io/async/EventBase.h>
#include <folly/io/async/EventBaseManager.h>
#include <gtest/gtest.h>
#include <quic/congestion_control/CongestionController.h>
#include <quic/state/LossEvent.h>
#include <quic/state/OutstandingPacket.h>
#include <quic/state/StateData.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "mvfst/factory.h"
#include "mvfst/test_flow.h"
#include "policy/test_network.h"

namespace mvfstrl {
namespace {

constexpr std::uint64_t kPacket = 1232;

// A policy that doubles the window, whatever it sees.
class Doubling {
 public:
  Doubling() : path(testing::TempDir() + "/doubling-" + std::to_string(getpid()) + ".mvfstrl") {
    PolicyFile file = test::random_policy({.hidden_size = 8});
    std::ranges::fill(file.weights.head.weight.values, 0.0F);
    std::ranges::fill(file.weights.head.bias, 0.0F);
    const auto& actions = file.description.spec.actions;
    const auto twice = std::ranges::find(actions, "*2");
    EXPECT_NE(twice, actions.end());
    file.weights.head.bias[static_cast<std::size_t>(twice - actions.begin())] = 1;
    write_policy_file(path, file);
  }
  Doubling(const Doubling&) = delete;
  Doubling& operator=(const Doubling&) = delete;
  ~Doubling() { std::remove(path.c_str()); }

  const std::string path;
};

class Connection {
 public:
  explicit Connection(quic::CongestionControllerFactory& factory) : state_(quic::QuicNodeType::Server) {
    state_.udpSendPacketLen = kPacket;
    state_.transportSettings.initCwndInMss = 7;
    state_.transportSettings.minCwndInMss = 3;
    state_.transportSettings.maxCwndInMss = 90;
    controller_ = factory.makeCongestionController(state_, quic::CongestionControlType::Custom);
  }

  std::uint64_t window() const { return controller_->getCongestionWindow(); }
  quic::OutstandingPacketWrapper send(quic::PacketHeader&& header) {
    state_.lossState.inflightBytes += kPacket;
    quic::OutstandingPacketWrapper packet(quic::RegularQuicWritePacket(std::move(header)),
                                          std::chrono::steady_clock::now(), 0, kPacket, kPacket, kPacket,
                                          kPacket, state_.lossState, 0, {});
    controller_->onPacketSent(packet);
    return packet;
  }
  quic::OutstandingPacketWrapper send_data(quic::PacketNum number) {
    return send(quic::ShortHeader(quic::ProtectionType::KeyPhaseZero, quic::ConnectionId::createZeroLength(),
                                  number));
  }
  void send_handshake(quic::PacketNum number) {
    const auto id = quic::ConnectionId::createZeroLength();
    send(quic::LongHeader(quic::LongHeader::Types::Handshake, id, id, number, quic::QuicVersion::MVFST));
  }
  void lose(const quic::OutstandingPacketWrapper& packet) {
    quic::CongestionController::LossEvent loss(std::chrono::steady_clock::now());
    loss.addLostPacket(packet);
    state_.lossState.inflightBytes -= kPacket;
    controller_->onPacketAckOrLoss(nullptr, &loss);
  }
  quic::QuicConnectionStateBase& state() { return state_; }

 private:
  quic::QuicConnectionStateBase state_;
  std::unique_ptr<quic::CongestionController> controller_;
};

void window_ends() { std::this_thread::sleep_for(std::chrono::milliseconds(110)); }

TEST(MvfstFactory, ASchemeStartsWithTheTransportsWindow) {
  const auto factory = make_scheme_factory(NewRenoConfig{});
  EXPECT_EQ(Connection(*factory).window(), 7 * kPacket);
}

TEST(MvfstFactory, ASchemeKeepsTheTransportsLimits) {
  const auto factory = make_scheme_factory(NewRenoConfig{});
  Connection connection(*factory);
  const auto make = [&](std::uint64_t initial, std::uint64_t least, std::uint64_t most) {
    quic::TransportSettings& settings = connection.state().transportSettings;
    settings.initCwndInMss = initial;
    settings.minCwndInMss = least;
    settings.maxCwndInMss = most;
    return error_of([&] {
      (void)factory->makeCongestionController(connection.state(), quic::CongestionControlType::Custom);
    });
  };
  EXPECT_EQ(make(7, 7, 7), "");
  EXPECT_NE(make(7, 8, 90).find("initial_packets"), std::string::npos);
  EXPECT_NE(make(7, 3, 6).find("initial_packets"), std::string::npos);
}

TEST(MvfstFactory, APolicyDecidesFromTheFirstPacketOfDataOn) {
  const Doubling policy;
  const auto factory = make_policy_factory(policy.path);
  Connection connection(*factory);
  EXPECT_EQ(connection.window(), 10 * kPacket);  // the policy's own
  connection.send_handshake(0);
  window_ends();
  const auto packet = connection.send_data(0);
  window_ends();
  EXPECT_EQ(connection.window(), 10 * kPacket) << "no event has come, and no timer";
  connection.lose(packet);
  EXPECT_EQ(connection.window(), 20 * kPacket) << "one window is over, not two";
}

TEST(MvfstFactory, OnAnEventLoopAWindowEndsByItself) {
  const Doubling policy;
  const auto factory = make_policy_factory(policy.path);
  folly::EventBase& loop = *folly::EventBaseManager::get()->getEventBase();
  {
    Connection connection(*factory);
    connection.send_data(0);
    loop.runAfterDelay([&] { loop.terminateLoopSoon(); }, 150);
    loop.loopForever();
    EXPECT_EQ(connection.window(), 20 * kPacket);
  }
  folly::EventBaseManager::get()->clearEventBase();
}

TEST(MvfstFactory, EachConnectionHasASessionOfItsOwn) {
  const Doubling policy;
  const auto factory = make_policy_factory(policy.path);
  Connection busy(*factory), idle(*factory);
  const auto packet = busy.send_data(0);
  window_ends();
  busy.lose(packet);
  EXPECT_EQ(busy.window(), 20 * kPacket);
  EXPECT_EQ(idle.window(), 10 * kPacket);
}

TEST(MvfstFactory, RefusesWhatCannotDrive) {
  EXPECT_NE(error_of([] { make_policy_factory("no/such.mvfstrl"); }).find("no/such.mvfstrl"),
            std::string::npos);
  const Doubling policy;
  GuardConfig guard;
  guard.return_after = 0;
  EXPECT_NE(error_of([&] { make_policy_factory(policy.path, guard); }).find("return_after"),
            std::string::npos);
  EXPECT_NE(error_of([] { make_scheme_factory(ExternalConfig{}); }).find("controller"), std::string::npos);
  CubicConfig cubic;
  cubic.beta = 2;
  EXPECT_NE(error_of([&] { make_scheme_factory(cubic); }).find("beta"), std::string::npos);
}

}  // namespace
}  // namespace mvfstrl
