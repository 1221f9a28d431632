// PIE, the proportional integral controller of RFC 8033: drops arrivals at random with a probability that is
// steered every `update_interval` by how far the queueing delay is from `target` and by its trend. The delay
// is measured by timestamps at dequeue (section 4.3); of the enhancements, de-randomisation (5.4) and the cap
// on the probability's growth (5.5) are in.
#pragma once

#include <cstdint>

#include "common/rng.h"
#include "common/units.h"
#include "path/config.h"
#include "path/packet_buffer.h"

namespace mvfstrl {

class Pie {
 public:
  Pie(const PieParameters& parameters, Rng rng);

  // Whether an arrival is to be dropped; `buffer` is the queue without it. `now` never decreases.
  bool drops_arrival(TimePoint now, const PacketBuffer& buffer);
  // To be told before a packet leaves the queue ...
  void before_take(TimePoint now, const PacketBuffer& buffer) { catch_up(now, buffer); }
  // ... and after, with its time in the queue.
  void after_take(Duration sojourn) { delay_ = sojourn; }

 private:
  // Runs the periodic updates that are due. Between two calls the queue has not changed, so running them late
  // gives what a timer would.
  void catch_up(TimePoint now, const PacketBuffer& buffer);
  void update(const PacketBuffer& buffer);

  PieParameters parameters_;
  Rng rng_;
  TimePoint next_update_;
  Duration delay_;            // of the latest packet that left
  Duration previous_delay_;   // at the latest update
  Duration burst_allowance_;  // time for which arrivals are still exempt
  double probability_ = 0;
  double accumulated_ = 0;  // probability since the latest drop
};

}  // namespace mvfstrl
