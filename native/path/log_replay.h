// Replays the packet log of a real mahimahi mm-link run: the logged arrivals go into a Direction, and every
// logged departure and drop has to come out of it, at the same millisecond, of the same size and delay.
//
// The log (mahimahi, frontend/link_queue.cc), times in ms: "T + SIZE" an arrival, "T d PACKETS BYTES" dropped
// at the arrival above, "T - SIZE DELAY" a departure, "T # SIZE" an opportunity; "# base timestamp: T" says
// when the trace began.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "path/config.h"

namespace mvfstrl {

struct ReplayMismatch {
  std::int64_t line = 0;  // of the log; one past the last where the log ended too early
  std::string expected;   // what the log says
  std::string got;        // what the path did instead
};

struct ReplayReport {
  std::int64_t arrivals = 0;
  std::int64_t departures = 0;  // compared and found equal, as are the drops
  std::int64_t drops = 0;
  std::optional<ReplayMismatch> mismatch = std::nullopt;  // the first; the replay stops there
};

// `name` stands for the log's file in errors. Throws std::invalid_argument, "NAME:LINE: reason", on a line
// that is no log line, a time that decreases, or a missing base timestamp.
ReplayReport replay_log(std::string_view log, const std::string& name, const TraceRate& link,
                        const QueueConfig& queue);

}  // namespace mvfstrl
