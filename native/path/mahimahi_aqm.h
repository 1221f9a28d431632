// CoDel and PIE as mahimahi's mm-link has them (frontend of version 0.98), quirks included, for comparison
// with runs over the real shells: a whole-millisecond clock, integer arithmetic, and decisions that differ
// from the RFCs. For everything else use codel.h and pie.h.
#pragma once

#include <cstdint>
#include <optional>

#include "common/rng.h"
#include "common/units.h"
#include "path/config.h"
#include "path/packet_buffer.h"
#include "path/tally.h"

namespace mvfstrl {

// Quirks: of two packets popped for a drop decision the later one is dropped and the head is sent; the last
// packet of the queue is never judged; nothing is dropped while 1504 bytes or fewer remain.
class MahimahiCodel {
 public:
  explicit MahimahiCodel(const CodelParameters& parameters);

  bool take(TimePoint now, PacketBuffer& buffer, Packet& out, Tally& drops);

 private:
  bool pop_and_judge(std::int64_t now_ms, PacketBuffer& buffer, Packet& out);
  std::int64_t control_law(std::int64_t from_ms) const;

  std::int64_t target_ms_;
  std::int64_t interval_ms_;
  std::int64_t first_above_ms_ = 0;  // 0: not above target
  std::int64_t drop_next_ms_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t last_count_ = 0;
  bool dropping_ = false;
};

// Quirks: updates every 30 ms whatever `update_interval` says, gains per millisecond with their own scaling,
// delay estimated from a departure rate in whole bytes a millisecond, no drop below 3008 bytes, no initial
// burst allowance.
class MahimahiPie {
 public:
  MahimahiPie(const PieParameters& parameters, Rng rng);

  bool drops_arrival(TimePoint now, const PacketBuffer& buffer);
  // After a packet of `size_bytes` has left `buffer`.
  void after_take(TimePoint now, const PacketBuffer& buffer, std::uint32_t size_bytes);

 private:
  void measure_departures(std::int64_t now_ms, const PacketBuffer& buffer, std::uint32_t size_bytes);
  void catch_up(std::int64_t now_ms, const PacketBuffer& buffer);
  void update(const PacketBuffer& buffer);

  Rng rng_;
  double alpha_;
  double beta_;
  std::int64_t target_ms_;
  std::int64_t max_burst_ms_;
  std::int64_t last_update_ms_ = 0;
  std::int64_t burst_allowance_ms_ = 0;
  std::int64_t delay_ms_ = 0;
  std::int64_t previous_delay_ms_ = 0;
  std::int64_t departure_rate_ = 0;             // bytes a millisecond; 0: unknown
  std::optional<std::int64_t> departed_bytes_;  // in the measurement under way
  std::int64_t measurement_start_ms_ = 0;
  double probability_ = 0;
};

}  // namespace mvfstrl
