// A transfer between two ends of real mvfst on loopback, for tests.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "mvfst/receiver.h"
#include "mvfst/sender.h"

namespace mvfstrl {

inline constexpr Duration kPatience = Duration::from_ms(10'000);

inline SenderOptions options_to(const MvfstReceiver& receiver) {
  SenderOptions options;
  options.port = receiver.port();
  return options;
}

inline std::unique_ptr<Session> session_of(const ControllerConfig& controller) {
  SessionConfig config;
  config.controller = controller;
  return std::make_unique<Session>(config);
}

inline void flow_for(MvfstSender& sender, std::int64_t ms) {
  sender.connect(kPatience);
  sender.start();
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < end && !sender.ended() && !sender.complete()) {
    sender.wait(Duration::from_ms(20));
  }
}

inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace mvfstrl
