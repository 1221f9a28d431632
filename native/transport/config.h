// What a QUIC endpoint is told. Every default is a constant of mvfst;
// docs/decisions/0003-transport-mirrors-mvfst.md says where each comes from and what is simplified.
#pragma once

#include <cstdint>

#include "common/units.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

// kAuto: where the controller wants it, so that a paced flow and an unpaced one may share a link.
enum class Pacing { kAuto, kAlways, kNever };

struct TransportConfig {
  WindowLimits window;

  // Acknowledgements (RFC 9000 section 13.2; mvfst: QuicConstants.h, state/QuicStateFunctions.cpp).
  std::int32_t ack_threshold = 10;  // ack-eliciting packets that make an ACK due at once
  std::int32_t ack_reordering = 0;  // packet numbers that a packet may skip before an ACK is due at once
  double ack_timer_factor = 0.25;   // of the smoothed RTT
  Duration max_ack_delay = Duration::from_ms(25);
  Duration ack_timer_tick = Duration::from_ms(1);  // the receiver's timer wheel, see wheel_timer.h
  std::int32_t ack_delay_exponent = 3;             // ACK delays travel in units of 2^exponent us
  // ACK packets are padded to a multiple of this (short header padding, paddingModulo).
  std::int32_t ack_padding_bytes = 32;
  // Ranges that a frame lists, newest first. Its size on the wire counts all that mvfst would list.
  std::int32_t max_ack_ranges = 64;

  // Loss detection (RFC 9002 section 6; mvfst: loss/QuicLossFunctions.cpp).
  Duration initial_rtt = Duration::from_ms(50);
  // The sender's timer wheel: mvfst's server runs on folly's default event base.
  Duration loss_timer_tick = Duration::from_ms(10);
  std::int32_t packet_threshold = 3;  // mvfst: lost when *more* than this many numbers behind the largest
  std::int32_t time_threshold_dividend = 5;
  std::int32_t time_threshold_divisor = 4;
  std::int32_t pto_probes = 2;
  std::int32_t persistent_congestion_threshold = 3;  // probe timeouts

  // The handshake as the sender of a real run sees it at the link: its first flight begins with packets that
  // are acknowledged at once, so that the first RTT sample comes before that of the data; the last of them is
  // not full. Their acknowledgement lets one small packet go (HANDSHAKE_DONE). Zero packets: the connection
  // starts with data and without any RTT.
  std::int32_t handshake_packets = 2;
  ByteCount handshake_last_packet{752};
  ByteCount handshake_done{41};
  // The server's time over its first flight: part of the receiver's RTT sample, not of the sender's.
  Duration handshake_processing = Duration::from_ms(4);

  // What the sender takes over each packet of a burst; zero: all of it leaves at once.
  Duration send_time = Duration::zero();

  // Without pacing a window is sent at once as ACKs open it (state/TransportSettings.h).
  Pacing pacing = Pacing::kAuto;
  // The shortest time between bursts. The library's is 1 ms; mvfst's performance tool, which made the real
  // runs, sets 0.2 ms (tools/tperf/TperfServer.cpp).
  Duration pacing_tick = Duration::from_us(200);
  Duration pacing_timer_tick =
      Duration::from_us(100);               // of the timer's wheel (kDefaultPacingTimerResolution)
  std::int32_t pacing_min_burst = 5;        // packets
  std::int32_t pacing_max_late_bursts = 5;  // a late write makes up for at most this many

  void validate() const;  // throws std::invalid_argument naming the bad field
};

}  // namespace mvfstrl
