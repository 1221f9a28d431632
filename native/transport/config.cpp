#include "transport/config.h"

#include <stdexcept>
#include <string>

namespace mvfstrl {

namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

}  // namespace

void TransportConfig::validate() const {
  window.validate();
  require(ack_threshold >= 1, "ack_threshold must be at least 1");
  require(ack_reordering >= 0, "ack_reordering must not be negative");
  require(ack_timer_factor >= 0, "ack_timer_factor must not be negative");
  require(max_ack_delay >= Duration::zero(), "max_ack_delay must not be negative");
  require(ack_timer_tick >= Duration::zero(), "ack_timer_tick must not be negative");
  require(ack_delay_exponent >= 0 && ack_delay_exponent <= 20,
          "ack_delay_exponent must lie between 0 and 20");
  require(ack_padding_bytes >= 0, "ack_padding_bytes must not be negative");
  require(max_ack_ranges >= 1, "max_ack_ranges must be at least 1");
  require(initial_rtt > Duration::zero(), "initial_rtt must be positive");
  require(loss_timer_tick >= Duration::zero(), "loss_timer_tick must not be negative");
  require(packet_threshold >= 1, "packet_threshold must be at least 1");
  require(time_threshold_divisor >= 1, "time_threshold_divisor must be at least 1");
  require(time_threshold_dividend >= time_threshold_divisor,
          "time_threshold_dividend must be at least time_threshold_divisor");
  require(pto_probes >= 1, "pto_probes must be at least 1");
  require(persistent_congestion_threshold >= 1, "persistent_congestion_threshold must be at least 1");
  require(handshake_packets >= 0, "handshake_packets must not be negative");
  require(handshake_last_packet > ByteCount::zero(), "handshake_last_packet must be positive");
  require(handshake_done >= ByteCount::zero(), "handshake_done must not be negative");
  require(handshake_processing >= Duration::zero(), "handshake_processing must not be negative");
  require(send_time >= Duration::zero(), "send_time must not be negative");
  require(pacing_tick > Duration::zero(), "pacing_tick must be positive");
  require(pacing_timer_tick >= Duration::zero(), "pacing_timer_tick must not be negative");
  require(pacing_min_burst >= 1, "pacing_min_burst must be at least 1");
  require(pacing_max_late_bursts >= 1, "pacing_max_late_bursts must be at least 1");
}

}  // namespace mvfstrl
