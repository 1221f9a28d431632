// What came of an emulated path so far. Delays and rates are the path's, in its own time; what the host added
// to them is the lateness.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/delay_histogram.h"
#include "common/units.h"
#include "emulator/link_series.h"
#include "path/tally.h"

namespace mvfstrl {

// A path whose 99th percentile of lateness is above this is not to be trusted.
constexpr Duration kLatenessLimit = Duration::from_ms(2);

struct LinkReport {
  Tally sent;  // = delivered + queue_drops + random_losses + in flight, in packets
  Tally delivered;
  Tally queue_drops;
  Tally random_losses;
  std::int64_t in_flight_packets = 0;
  std::int64_t duplicated_packets = 0;
  ByteCount link_bytes;     // left the link
  ByteCount offered_bytes;  // what it could have carried
  Duration propagation;
  DelayHistogram sojourn;  // of what was delivered: in the queue and on the wire
};

// What did not come to the links, or not out of the host.
struct RelayFaults {
  std::int64_t stalled = 0;      // lost before the link while the path was stalled
  std::int64_t oversized = 0;    // longer than a datagram may be
  std::int64_t overflow = 0;     // came while all memory was in use
  std::int64_t overruns = 0;     // thrown away by the kernel, because the host came too late
  std::int64_t unsent = 0;       // came to nobody at the other end, as far as its host told
  std::int64_t unaddressed = 0;  // came from the server before any client was known
};

struct PathReport {
  Duration length;  // since the path's time zero; zero if that has not come
  LinkReport data, acks;
  RelayFaults faults;
  DelayHistogram lateness;  // of the writes of both directions: when done, after when due
  Duration lateness_max;
  std::vector<LinkPoint> series;  // of the data link, where one is recorded

  bool late() const { return lateness.percentile(0.99) > kLatenessLimit; }
};

}  // namespace mvfstrl
