// A flow of an environment's configuration as a real connection's session (host/session.h): the same window,
// observations and rewards, without the path, the endpoint and the delay of answers that virtual time makes
// up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "environment/config.h"
#include "environment/value.h"
#include "host/session.h"

namespace mvfstrl {

struct HostedOptions {
  std::size_t flow = 0;
  std::uint64_t seed = 0;  // of the episode
  std::optional<GuardConfig> guard = std::nullopt;
  std::shared_ptr<const PolicyModel> model = nullptr;  // answers in the session; null: somebody else does
  std::int32_t job = -1;                               // the scenario's index in the policy's training
  bool series = false;                                 // is recorded, and reported
};

// Throws std::invalid_argument naming the bad item.
std::unique_ptr<Session> make_session(const EnvironmentConfig& config, const HostedOptions& options);

// Whether packets are paced whatever the controller wants; none: as it wants.
std::optional<bool> forced_pacing(Pacing pacing);

// What is said of a connection that is over, or so far: the keys of a flow's report (environment/report.h)
// that its sender can know, and a sender's own; `series`, where it is recorded, is that of its sender, from
// its start. Bytes are UDP payload.
Value session_report(const Session& session, const FlowConfig& flow, std::size_t index, TimePoint now);

}  // namespace mvfstrl
