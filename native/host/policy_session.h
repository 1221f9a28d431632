// A connection that an exported policy drives: what its file says that it sees and does, and a guard beside
// it.
#pragma once

#include <cstdint>
#include <memory>

#include "host/session.h"
#include "policy/guard.h"
#include "policy/policy.h"

namespace mvfstrl {

// Rewards shape training: here they are only counted, with the default one. `packet_size`: UDP payload of a
// full packet.
SessionConfig policy_session_config(const PolicyDescription& policy, ByteCount packet_size,
                                    const GuardConfig& guard);

// `job`: the scenario's index in the policy's training; -1: not known. Throws std::invalid_argument naming
// the bad item.
std::unique_ptr<Session> make_policy_session(std::shared_ptr<const PolicyModel> model, ByteCount packet_size,
                                             const GuardConfig& guard, std::int32_t job = -1);

}  // namespace mvfstrl
