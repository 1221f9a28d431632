// The one interface between a transport (ours, mvfst's, aioquic's) and a congestion controller. It holds
// nothing that only a simulator could know. RTT, loss detection and bytes in flight belong to the transport;
// a controller only reads them. Packets are listed one by one, because ten of them share an ACK and NewReno
// judges each by when it was sent.
//
// "Sent before (or after) this event" is told by packet numbers, not by times: on a virtual clock, and on
// mahimahi's millisecond one, many packets share an instant, and numbers are the order in which they were
// sent.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/units.h"
#include "congestion/rtt_stats.h"

namespace mvfstrl {

struct SentPacket {
  TimePoint now;
  std::uint64_t packet_number = 0;
  ByteCount size;             // UDP payload
  ByteCount bytes_in_flight;  // including this packet
  bool app_limited = false;   // the application had no more data than the window admits
};

struct AckedPacket {
  std::uint64_t packet_number = 0;
  TimePoint sent_time;
  ByteCount size;
  bool app_limited = false;
  // Delivery-rate sampling (draft-cheng-iccrg-delivery-rate-estimation): the connection's delivered bytes and
  // the time of its latest delivery when this packet was sent.
  ByteCount delivered_at_send;
  TimePoint delivered_time_at_send;
};

struct LostPacket {
  std::uint64_t packet_number = 0;
  TimePoint sent_time;
  ByteCount size;
};

// One received ACK frame with its newly acknowledged packets, in rising packet number.
struct AckEvent {
  TimePoint now;
  std::span<const AckedPacket> packets;
  ByteCount acked_bytes;           // sum of packets' sizes
  ByteCount prior_in_flight;       // before this event was accounted
  ByteCount bytes_in_flight;       // after
  std::optional<Duration> rtt;     // the sample this ACK gave, if its largest packet was newly acknowledged
  std::uint64_t largest_sent = 0;  // the largest packet number sent before this event
  Duration ack_delay;              // how much of `rtt` the peer says it held the ACK back
};

struct LossEvent {
  TimePoint now;
  std::span<const LostPacket> packets;  // in rising packet number
  ByteCount lost_bytes;
  ByteCount prior_in_flight;
  std::uint64_t largest_sent = 0;  // the largest packet number sent before this event
  bool persistent = false;         // persistent congestion (RFC 9002 section 7.6)
};

class CongestionController {
 public:
  virtual ~CongestionController() = default;
  // Whether on_packet_sent() is to be called at all: most controllers do without, and it is on the hottest
  // path. Asked once, when the controller is handed to its transport.
  virtual bool wants_packet_sent() const { return false; }
  virtual void on_packet_sent(const SentPacket&) {}
  // At least one of the two is non-null; where both are, the loss is to be handled first.
  virtual void on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats& rtt) = 0;
  virtual ByteCount congestion_window() const = 0;
  // What it is about ("slow_start"), for logs; empty if it has no such phases.
  virtual std::string_view phase_name() const { return {}; }
  // The application ran out of data (true), or has some again (false): a window that grows with time rather
  // than with ACKs must not count the silence.
  virtual void set_app_idle(bool /*idle*/, TimePoint /*now*/) {}
  // Whether the algorithm is built on pacing; a transport may be told otherwise (TransportConfig::pacing).
  // Asked once, when the controller is handed to its transport.
  virtual bool wants_pacing() const { return false; }
  // A pacing transport sends this many windows a smoothed RTT, unless the controller names a rate itself.
  virtual double pacing_gain() const { return 1.0; }
  virtual std::optional<Bandwidth> pacing_rate() const { return std::nullopt; }
};

}  // namespace mvfstrl
