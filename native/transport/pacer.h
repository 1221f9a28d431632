// Releases a window over a round trip instead of at once, as mvfst does: its TokenlessPacer says how many
// packets a write may send and how long after it the next may follow (CongestionControlFunctions.cpp,
// calculatePacingRate), its write looper when a write happens (api/QuicTransportBaseLite.cpp,
// TransportLooper):
//   - a write that its burst ends, not the window, arms the pacing timer;
//   - without that timer (the window was full), the ACK that opens the window is answered by a write at once;
//   - a write gets the packets of the time since the last one: late ones more, within bounds, early ones
//     fewer. Unused packets are not saved.
#pragma once

#include <cstdint>
#include <optional>

#include "common/units.h"
#include "congestion/controller.h"
#include "transport/config.h"

namespace mvfstrl {

class Pacer {
 public:
  Pacer(const TransportConfig& config, bool enabled);

  bool enabled() const { return enabled_; }
  // Before the first one everything leaves at once. The timer that is armed stays as it is.
  void set_pace(const Pace& pace);
  // To be asked only when a packet could leave otherwise.
  bool may_send(TimePoint now);
  void on_packet_sent() { --budget_; }
  // Another packet in the write in which one has just been sent: the same in one, without arming the timer.
  bool send_another() {
    if (!enabled_) return true;
    if (budget_ <= 0) return false;
    --budget_;
    return true;
  }
  // Nothing could leave in any case: the next write happens when something can.
  void cancel() { timer_.reset(); }
  // When may_send(), now false, turns true.
  TimePoint next_release() const { return *timer_; }

 private:
  std::int64_t start_write(TimePoint now);
  void arm(TimePoint now);

  bool enabled_;
  Duration tick_;
  Duration timer_tick_;
  std::int64_t min_burst_;
  std::int64_t max_late_bursts_;
  std::int64_t minimum_packets_;
  ByteCount packet_size_;
  std::int64_t burst_;
  Duration interval_;        // zero: unpaced
  std::int64_t budget_ = 0;  // packets that the write of `write_` may still send
  std::optional<TimePoint> write_;
  std::optional<TimePoint> last_burst_;  // the latest write that was given any packets
  std::optional<TimePoint> timer_;
  Duration owed_;  // time that rounding a burst up has spent ahead, times the burst
};

}  // namespace mvfstrl
