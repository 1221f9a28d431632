// The receiving endpoint: which packets came, and when to say so (RFC 9000 section 13.2). mvfst's policy: an
// ACK is due after `ack_threshold` packets, when a packet is not the one expected, or when the ACK timer
// fires.
//
// mvfst reads all that its socket holds before it writes, so packets that arrived together share an ACK: hand
// all packets of one instant to on_packet() and ask take_ack() after the last.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/units.h"
#include "transport/ack_frame.h"
#include "transport/config.h"

namespace mvfstrl {

class Receiver {
 public:
  // `path_rtt` is the path's round trip without load, of which (with the server's handshake time) the ACK
  // timer is a fraction: mvfst's receiver samples its RTT in the handshake and hardly again, as it sends next
  // to nothing that is acknowledged. Zero: unknown, as short a timer as the wheel allows.
  explicit Receiver(const TransportConfig& config, Duration path_rtt = Duration::zero());

  void on_packet(TimePoint now, std::uint64_t packet_number) {
    if (packet_number != expected_) [[unlikely]] {
      on_unexpected(now, packet_number);
      return;
    }
    ++expected_;
    ranges_.front().last = packet_number;
    count(now, /*newest=*/true, /*at_once=*/false);
  }
  // When an ACK is due unless more packets arrive: now (a packet made it due), when the ACK timer fires, or
  // never.
  TimePoint next_timer() const { return ack_deadline_; }
  // True, with the frame in `out`, if an ACK is due by `now`; it acknowledges all that came. `out` is reused.
  bool take_ack(TimePoint now, AckFrame& out);

  std::uint64_t packets_received() const { return packets_received_; }  // distinct
  std::uint64_t duplicates_received() const { return duplicates_received_; }

 private:
  static constexpr std::uint64_t kNoPacket = UINT64_MAX;

  void on_unexpected(TimePoint now, std::uint64_t packet_number);
  void count(TimePoint now, bool newest, bool at_once) {
    ++packets_received_;
    if (newest) largest_time_ = now;
    if (++unacknowledged_ >= config_.ack_threshold || at_once) {
      ack_deadline_ = std::min(ack_deadline_, now);
    } else if (ack_deadline_.is_never()) {
      ack_deadline_ = now + ack_timeout_;
    }
  }
  bool insert(std::uint64_t packet_number);
  bool insert_below_newest(std::uint64_t packet_number);
  void begin_range(std::uint64_t packet_number);
  ByteCount ack_payload(Duration ack_delay) const;

  TransportConfig config_;
  Duration ack_timeout_;
  TimePoint ack_deadline_ = TimePoint::never();
  TimePoint largest_time_;
  std::uint64_t packets_received_ = 0;
  std::uint64_t duplicates_received_ = 0;
  std::int32_t unacknowledged_ = 0;  // packets since the last ACK
  // The number after the newest, if that is an ordinary packet, which makes no ACK due at once; else none.
  std::uint64_t expected_ = kNoPacket;
  std::vector<AckRange> ranges_;        // falling, as frames list them; old ones are let go of
  std::int64_t older_ranges_ = 0;       // ranges ever begun, without the newest one
  std::int64_t older_range_bytes_ = 0;  // what they take in a frame
};

}  // namespace mvfstrl
