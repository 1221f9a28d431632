#include "mvfst/factory.h"

#include <folly/io/async/EventBaseManager.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <utility>

#include "host/policy_session.h"
#include "mvfst/controller.h"

namespace mvfstrl {
namespace {

using MakeSession = std::function<std::unique_ptr<Session>(const WindowLimits&)>;

WindowLimits limits_of(const quic::QuicConnectionStateBase& connection) {
  const quic::TransportSettings& settings = connection.transportSettings;
  return {.packet_size = ByteCount(static_cast<std::int64_t>(connection.udpSendPacketLen)),
          .initial_packets = static_cast<std::int64_t>(settings.initCwndInMss),
          .minimum_packets = static_cast<std::int64_t>(settings.minCwndInMss),
          .maximum_packets = static_cast<std::int64_t>(settings.maxCwndInMss)};
}

class SessionFactory final : public quic::CongestionControllerFactory {
 public:
  explicit SessionFactory(MakeSession make_session) : make_session_(std::move(make_session)) {
    make_session_(WindowLimits());  // what is wrong shows here, and not in a connection
  }

  std::unique_ptr<quic::CongestionController> makeCongestionController(
      quic::QuicConnectionStateBase& connection, quic::CongestionControlType type) override {
    folly::EventBase* const loop = folly::EventBaseManager::get()->getExistingEventBase();
    return std::make_unique<MvfstController>(connection, type, make_session_(limits_of(connection)),
                                             std::chrono::steady_clock::now(), loop, nullptr);
  }

 private:
  MakeSession make_session_;
};

}  // namespace

std::shared_ptr<quic::CongestionControllerFactory> make_policy_factory(const std::string& file,
                                                                       const GuardConfig& guard) {
  return std::make_shared<SessionFactory>(
      [model = PolicyModel::load(file), guard](const WindowLimits& limits) {
        return make_policy_session(model, limits.packet_size, guard);
      });
}

std::shared_ptr<quic::CongestionControllerFactory> make_scheme_factory(const ControllerConfig& controller) {
  if (std::holds_alternative<ExternalConfig>(controller)) {
    throw std::invalid_argument("controller: an agent's window needs an agent");
  }
  return std::make_shared<SessionFactory>([controller](const WindowLimits& limits) {
    SessionConfig config;
    config.controller = controller;
    config.limits = limits;
    return std::make_unique<Session>(config);
  });
}

}  // namespace mvfstrl
