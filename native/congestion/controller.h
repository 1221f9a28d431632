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

// What a connection had delivered at some moment; packets keep the state that they were sent in. It serves
// draft-cheng-iccrg-delivery-rate-estimation and mvfst's LastAckedPacketInfo (state/OutstandingPacket.h).
// Times mean nothing while `delivered` is zero.
struct DeliveryState {
  ByteCount delivered;        // acknowledged so far
  ByteCount lost;             // declared lost so far
  ByteCount sent;             // sent when the latest ACK came
  TimePoint ack_time;         // of the latest ACK
  TimePoint received_time;    // the same, less the delay that the ACK reported
  TimePoint acked_sent_time;  // when the largest packet that the latest ACK newly covered was sent
  TimePoint flight_start;     // when a packet was last sent with nothing in flight
};

struct AckedPacket {
  std::uint64_t packet_number = 0;
  TimePoint sent_time;
  ByteCount size;
  bool app_limited = false;
  ByteCount sent_bytes;                    // what the connection had sent, this packet included
  const DeliveryState* at_send = nullptr;  // good for the event; null: the host does not tell
};

struct LostPacket {
  std::uint64_t packet_number = 0;
  TimePoint sent_time;
  ByteCount size;
  bool app_limited = false;
  ByteCount sent_bytes;  // as above
  const DeliveryState* at_send = nullptr;
};

// How a window is spread over time.
struct Pace {
  ByteCount window;
  Duration over;
  bool restart = false;  // the next burst owes nothing to the time since the last one
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
  DeliveryState delivery;          // with this event's acknowledgements and losses
};

struct LossEvent {
  TimePoint now;
  std::span<const LostPacket> packets;  // in rising packet number
  ByteCount lost_bytes;
  ByteCount prior_in_flight;
  std::uint64_t largest_sent = 0;  // the largest packet number sent before this event
  bool persistent = false;         // persistent congestion (RFC 9002 section 7.6)
  DeliveryState delivery;          // with this event's acknowledgements and losses
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
  // A pacing transport sends this many windows a smoothed RTT, unless the controller names a rate, or a pace.
  virtual double pacing_gain() const { return 1.0; }
  virtual std::optional<Bandwidth> pacing_rate() const { return std::nullopt; }
  // Asked after each event; none: the pace stays as it was.
  virtual std::optional<Pace> pace(const RttStats& rtt) const;
};

inline std::optional<Pace> CongestionController::pace(const RttStats& rtt) const {
  // A second, because a pacer spreads whole packets.
  constexpr Duration kSecond = Duration::from_ms(1000);
  if (const auto rate = pacing_rate()) return Pace{rate->bytes_in(kSecond), kSecond};
  if (!rtt.has_sample()) return std::nullopt;
  const double window = static_cast<double>(congestion_window().value()) * pacing_gain();
  return Pace{ByteCount(static_cast<std::int64_t>(window)), rtt.smoothed()};
}

}  // namespace mvfstrl
