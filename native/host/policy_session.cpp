#include "host/policy_session.h"

#include <utility>

namespace mvfstrl {

SessionConfig policy_session_config(const PolicyDescription& policy, ByteCount packet_size,
                                    const GuardConfig& guard) {
  SessionConfig config;
  config.controller = ExternalConfig{.pacing = policy.actions.pacing};
  config.limits = window_limits(policy.actions, packet_size);
  config.guard = guard;
  config.fallback_limits.packet_size = packet_size;
  config.observation = policy.observation;
  config.actions = policy.actions;
  return config;
}

std::unique_ptr<Session> make_policy_session(std::shared_ptr<const PolicyModel> model, ByteCount packet_size,
                                             const GuardConfig& guard, std::int32_t job) {
  const SessionConfig config = policy_session_config(model->description(), packet_size, guard);
  return std::make_unique<Session>(config, Rng(), Rng(), std::move(model), job);
}

}  // namespace mvfstrl
