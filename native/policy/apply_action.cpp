#include "policy/apply_action.h"

#include <algorithm>
#include <cmath>

#include "congestion/external.h"

namespace mvfstrl {

std::int32_t apply_action(CongestionController& controller, bool guarded, const ActionSet& actions,
                          TimePoint now, std::int32_t action, Duration latency) {
  const ByteCount window = controller.congestion_window();
  const auto asked_for = [&] { return actions.apply(static_cast<std::size_t>(action), window); };
  if (!guarded) {
    static_cast<ExternalController&>(controller).set_window(asked_for());
    return action;
  }
  Decision decision{.latency = latency, .finite = action != kNothingFinite, .window = window};
  if (decision.finite) decision.window = asked_for();
  const Driver driver = static_cast<GuardedController&>(controller).decide(now, decision);
  return driver == Driver::kPolicy ? action : kNoAction;
}

std::int32_t finite_action(Policy& policy, std::span<const float> observation) {
  const std::int32_t action = policy.act(observation);
  if (std::ranges::all_of(policy.logits(), [](float x) { return std::isfinite(x); })) return action;
  policy.reset();  // or a memory that is not finite would stay so
  return kNothingFinite;
}

}  // namespace mvfstrl
