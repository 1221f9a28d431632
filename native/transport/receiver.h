// The receiving endpoint: which packets came, and when to say so (RFC 9000 section 13.2). mvfst's policy: an
// ACK is due after `ack_threshold` packets, when a gap opens, or when the ACK timer fires.
//
// mvfst reads what its socket holds before it writes, so packets that arrived together share an ACK: hand all
// packets of one instant to on_packet() and ask take_ack() after the last.
#pragma once

#include <cstdint>
#include <vector>

#include "common/units.h"
#include "transport/ack_frame.h"
#include "transport/config.h"

namespace mvfstrl {

class Receiver {
 public:
  explicit Receiver(const TransportConfig& config);

  void on_packet(TimePoint now, std::uint64_t packet_number);
  // When an ACK is due next unless packets arrive: the time of the packet that made it due, the ACK timer, or
  // never.
  TimePoint next_timer() const { return ack_deadline_; }
  // True, with the frame in `out`, when an ACK is due by `now`; it acknowledges all that came. `out` is
  // reused.
  bool take_ack(TimePoint now, AckFrame& out);

  // This endpoint's own smoothed RTT, of which the ACK timer is a fraction. mvfst's receiver samples it from
  // the handshake and its window updates; a host that models neither hands in the sender's. Zero: not known
  // yet.
  void set_smoothed_rtt(Duration rtt) { smoothed_rtt_ = rtt; }

  std::uint64_t packets_received() const { return packets_received_; }  // distinct
  std::uint64_t duplicates_received() const { return duplicates_received_; }

 private:
  bool insert(std::uint64_t packet_number);
  void forget_old_ranges();
  Duration ack_timeout() const;
  ByteCount ack_payload(const AckFrame& frame) const;

  TransportConfig config_;
  Duration smoothed_rtt_;
  TimePoint ack_deadline_ = TimePoint::never();
  TimePoint largest_time_;
  std::uint64_t packets_received_ = 0;
  std::uint64_t duplicates_received_ = 0;
  std::int32_t unacknowledged_ = 0;  // ack-eliciting packets since the last ACK
  std::vector<AckRange> ranges_;     // in rising packet number
};

}  // namespace mvfstrl
