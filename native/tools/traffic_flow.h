// What a client of mvfstrl-traffic sends with: the session of its connection, and how its host is set up.
#pragma once

#include <memory>

#include "common/units.h"
#include "environment/config.h"
#include "host/session.h"
#include "mvfst/receiver.h"
#include "mvfst/sender.h"
#include "tools/traffic_arguments.h"

namespace mvfstrl::tools {

struct TrafficFlow {
  std::unique_ptr<Session> session;
  FlowConfig config;  // a policy's controller is ExternalConfig
  SenderOptions sender;
};

// Both throw UsageError naming an option that cannot be used; the first PolicyFileError too.
TrafficFlow make_traffic_flow(const TrafficArguments& arguments);

ReceiverOptions receiver_options(const TrafficArguments& arguments);

}  // namespace mvfstrl::tools
