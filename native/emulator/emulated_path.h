// A path between a client and a server: two ports, two relays, one time zero. Belongs to one thread. What
// comes in at the client's port goes over the data link and out at the server's; the way back is over the ACK
// link.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "common/delay_histogram.h"
#include "common/rng.h"
#include "common/units.h"
#include "emulator/clock.h"
#include "emulator/datagram_pool.h"
#include "emulator/link_series.h"
#include "emulator/offered.h"
#include "emulator/path_log.h"
#include "emulator/path_report.h"
#include "emulator/port.h"
#include "emulator/receive_batch.h"
#include "emulator/relay.h"
#include "emulator/send_batch.h"
#include "path/config.h"

namespace mvfstrl {

struct EmulatedPathConfig {
  std::string name;  // for logs
  DirectionConfig data, acks;
  Rng data_rng, ack_rng;
  std::int64_t overhead_bytes = 28;               // of a datagram on the link, beyond its payload
  std::optional<std::string> log;                 // LOG.uplink.log and LOG.downlink.log
  std::optional<Duration> series = std::nullopt;  // the length of its windows; none: no series is recorded
};

class EmulatedPath {
 public:
  enum class Side : std::uint8_t { kClient, kServer };

  // Throws std::system_error naming the file of a log. The pool must outlive the path.
  EmulatedPath(const EmulatedPathConfig& config, Ports ports, DatagramPool& pool);

  int fd(Side side) const { return port(side).fd(); }

  // Sets the path's time zero, if no datagram has yet.
  void start(TimePoint now);
  // What comes in until `until`, of the monotonic clock, is lost.
  void stall(TimePoint until) { stalled_until_ = until; }

  // Reads what has come to one side's socket, and writes what was due meanwhile.
  void receive(Side side, const StampClock& clock, ReceiveBatch& arrivals, SendBatch& departures);
  // Writes all that is due by `now`.
  void deliver(TimePoint now, SendBatch& departures);
  // When deliver() is next needed, of the monotonic clock; never() while nothing is inside.
  TimePoint next_event() const;

  // As of `now`. Throws if a log could not be written.
  PathReport report(TimePoint now);

 private:
  Port& port(Side side) const { return side == Side::kClient ? *ports_.client : *ports_.server; }
  static Side other(Side side) { return side == Side::kClient ? Side::kServer : Side::kClient; }
  Relay& into(Side side) { return side == Side::kClient ? data_ : acks_; }
  TimePoint path_time(TimePoint monotonic) const { return TimePoint::zero() + (monotonic - *zero_); }
  // One datagram of the batch goes in, or is counted as a fault.
  void admit(Side side, TimePoint at, ReceiveBatch& arrivals, std::size_t i);
  // Takes out of a relay what is due by then.
  void deliver_from(Side side, TimePoint until, SendBatch& departures);
  void write(Side side, SendBatch& departures);
  void settle();
  LinkReport report_link(Relay& relay, Offered& offered, Duration propagation, TimePoint now);

  EmulatedPathConfig config_;
  Ports ports_;
  Relay data_, acks_;
  // By side: all that came until then has been read; never() if its socket is empty.
  std::array<TimePoint, 2> read_until_{TimePoint::never(), TimePoint::never()};
  Offered data_offered_, acks_offered_;
  std::optional<PathLog> data_log_, ack_log_;
  std::optional<LinkSeries> series_;
  std::optional<TimePoint> zero_;  // of the monotonic clock
  TimePoint stalled_until_;
  RelayFaults faults_;
  DelayHistogram lateness_;
  Duration lateness_max_;
};

}  // namespace mvfstrl
