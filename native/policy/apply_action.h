// How an agent's answer reaches the window that it is about, with a guard beside it or without.
#pragma once

#include <cstdint>
#include <span>

#include "observe/action_set.h"
#include "policy/guarded_controller.h"
#include "policy/policy.h"

namespace mvfstrl {

// What a guarded flow's policy answers that gave nothing finite.
inline constexpr std::int32_t kNothingFinite = -1;
inline constexpr std::int32_t kNoAction = -1;

// `controller` is an ExternalController, or a GuardedController where `guarded`. Returns the action that
// takes effect; kNoAction if the guard's fall-back drives instead.
std::int32_t apply_action(CongestionController& controller, bool guarded, const ActionSet& actions,
                          TimePoint now, std::int32_t action, Duration latency);

// What the policy makes of an observation; kNothingFinite, and its memory is cleared, if its logits are not.
std::int32_t finite_action(Policy& policy, std::span<const float> observation);

}  // namespace mvfstrl
