// One direction of an emulated path: datagrams in, the same datagrams out when path/ says so. Knows no socket
// and no clock; time is the path's, from its own zero.
//
// The path is told the time of each arrival and is asked at each of its own events, never later: whatever the
// host's lateness, departures, drops and losses are those of virtual time.
#pragma once

#include <cstdint>
#include <vector>

#include "common/delay_histogram.h"
#include "common/rng.h"
#include "common/units.h"
#include "emulator/datagram_pool.h"
#include "emulator/link_series.h"
#include "emulator/path_log.h"
#include "path/direction.h"

namespace mvfstrl {

class Relay {
 public:
  // `rng`: the direction's, as virtual time has it. The pool must outlive this.
  Relay(const DirectionConfig& config, Direction::Order order, Rng rng, std::int64_t overhead_bytes,
        DatagramPool& pool);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // A datagram of the pool's enters, which is the relay's from now on. `at` before the latest event counts as
  // then. All that is due by then must have been taken.
  void enter(TimePoint at, Datagram* datagram);

  // When something may next come out; never() if nothing is inside.
  TimePoint next_event() const { return direction_.next_event(); }
  // The next datagram that comes out at or before `until` and when; null if there is none. It stays as it is
  // until the pool's memory is next written to.
  Datagram* advance(TimePoint until, TimePoint& due);

  // Records what has happened at the link since the last call, in `log` and `series` too if there are any.
  void settle(PathLog* log, LinkSeries* series = nullptr);

  // As of the latest settle():
  const DirectionCounters& counters() const { return direction_.counters(); }
  // what left the link, whether it arrived or not;
  ByteCount link_bytes() const { return link_bytes_; }
  // what arrived, duplicates aside, and how long each of them was in the queue and on the wire;
  const Tally& delivered() const { return delivered_; }
  const DelayHistogram& sojourn() const { return sojourn_; }
  // what is inside, duplicates aside.
  std::int64_t packets_inside() const {
    return direction_.inside().packets - direction_.copies_inside().packets;
  }

 private:
  static Datagram* datagram_of(const Packet& packet) {
    return reinterpret_cast<Datagram*>(static_cast<std::uintptr_t>(packet.id));
  }
  void hold(Datagram* datagram);
  void release(Datagram* datagram);
  // The path does not tell whose packets it drops: now and then, what it no longer has inside is given back.
  void sweep();
  std::int64_t inside() const;

  Direction direction_;
  std::uint32_t overhead_bytes_;
  bool duplicates_;
  DatagramPool& pool_;
  std::vector<Datagram*> held_;
  TimePoint latest_;  // event at the path
  LinkLog events_;    // since the latest settle()
  ByteCount link_bytes_;
  Tally delivered_;
  DelayHistogram sojourn_;
};

}  // namespace mvfstrl
