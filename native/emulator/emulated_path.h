// A path between a client and a server: two sockets, two relays, one time zero. Belongs to one thread.
//
// Datagrams that the client sends to client_address() go on, over the data link, to the server; what the
// server sends back goes over the ACK link to where the client's latest datagram came from.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "common/delay_histogram.h"
#include "common/rng.h"
#include "common/units.h"
#include "emulator/address.h"
#include "emulator/clock.h"
#include "emulator/datagram_pool.h"
#include "emulator/offered.h"
#include "emulator/path_log.h"
#include "emulator/path_report.h"
#include "emulator/receive_batch.h"
#include "emulator/relay.h"
#include "emulator/send_batch.h"
#include "emulator/udp_socket.h"
#include "path/config.h"

namespace mvfstrl {

struct EmulatedPathConfig {
  std::string name;  // for logs
  DirectionConfig data, acks;
  Rng data_rng, ack_rng;
  std::int64_t overhead_bytes = 28;  // of a datagram on the link, beyond its payload
  Address listen;                    // where the client is to send; port 0: any free one
  Address server;
  std::optional<std::string> log;  // LOG.uplink.log and LOG.downlink.log
};

class EmulatedPath {
 public:
  enum class Side : std::uint8_t { kClient, kServer };

  // Throws std::system_error naming the address or the file. The pool must outlive the path.
  EmulatedPath(const EmulatedPathConfig& config, DatagramPool& pool);

  Address client_address() const { return client_socket_.local(); }
  int fd(Side side) const { return from(side).fd(); }

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
  const UdpSocket& from(Side side) const { return side == Side::kClient ? client_socket_ : server_socket_; }
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
  UdpSocket client_socket_, server_socket_;
  std::optional<Address> client_;
  Relay data_, acks_;
  // By side: all that came until then has been read; never() if its socket is empty.
  std::array<TimePoint, 2> read_until_{TimePoint::never(), TimePoint::never()};
  Offered data_offered_, acks_offered_;
  std::optional<PathLog> data_log_, ack_log_;
  std::optional<TimePoint> zero_;  // of the monotonic clock
  TimePoint stalled_until_;
  RelayFaults faults_;
  DelayHistogram lateness_;
  Duration lateness_max_;
};

}  // namespace mvfstrl
