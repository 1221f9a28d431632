// What mvfstrl-traffic says: lines while it runs, and a summary, for people or as JSON.
#pragma once

#include <string>

#include "common/units.h"
#include "environment/value.h"
#include "host/session.h"
#include "mvfst/receiver.h"
#include "mvfst/sender.h"
#include "tools/traffic_arguments.h"
#include "tools/traffic_flow.h"

namespace mvfstrl::tools {

extern const char* const kClientHeader;
extern const char* const kServerHeader;

// What came between two looks.
std::string client_line(const SenderProgress& before, const SenderProgress& after);
std::string server_line(Duration from, Duration to, const ReceiverTotals& before,
                        const ReceiverTotals& after);

// A connection that is over: the keys of a hosted session's report (docs/realtime.md), and `ended` (duration,
// complete, interrupted, lost), `policy`; in microseconds, decision
// latencies, what of them the policy took, and how late timers came.
Value client_summary(const TrafficArguments& arguments, const Session& session, const FlowConfig& flow,
                     TimePoint now, const Percentiles& decisions, const Percentiles& lateness,
                     const std::string& ended);
Value server_summary(const TrafficArguments& arguments, std::uint16_t port, Duration time,
                     const ReceiverTotals& totals);

// One line a fact.
std::string told(const Value& summary);
std::string to_json(const Value& value);

}  // namespace mvfstrl::tools
