// Our controllers for any mvfst client or server:
//
//     transport.setCongestionControllerFactory(mvfstrl::make_policy_factory("policy.mvfstrl"));
//
// Each connection has a session of its own, on the event loop that makes its controller. Where the transport
// paces (TransportSettings::pacingEnabled), packets leave at the controller's pace.
#pragma once

#include <quic/congestion_control/CongestionControllerFactory.h>

#include <memory>
#include <string>

#include "congestion/factory.h"
#include "policy/guard.h"

namespace mvfstrl {

// An exported policy, under a guard. Throws PolicyFileError, or std::invalid_argument naming a bad item of
// the guard.
std::shared_ptr<quic::CongestionControllerFactory> make_policy_factory(const std::string& file,
                                                                       const GuardConfig& guard = {});

// One of our classic controllers: any but ExternalConfig. Throws std::invalid_argument naming a bad field.
std::shared_ptr<quic::CongestionControllerFactory> make_scheme_factory(const ControllerConfig& controller);

}  // namespace mvfstrl
