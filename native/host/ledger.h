// The books of a connection whose transport is another's: plain notifications in, the events and totals out
// that controllers and observers are written for. It detects no loss and estimates no round-trip time: the
// foreign transport does, and says so.
//
//     ledger.packet_sent(now, packet);
//     on an acknowledgement or a loss timer:
//       ledger.rtt_sample(latest, ack_delay);
//       ledger.packet_acked(number); ... ledger.packet_lost(number); ...   // in any order
//       if (ledger.flush(now)) {                                           // one event for all of them
//         controller.on_ack_or_loss(ledger.ack(), ledger.loss(), ledger.rtt());
//         ledger.settle();
//       }
//
// Numbers rise with each packet sent, over all packet-number spaces together, and may leave gaps. What is
// said of a packet that the books do not hold, or of which it has been said before, is counted and no error.
// Nothing is allocated once the lists have grown to the largest flight.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/ring.h"
#include "common/units.h"
#include "congestion/connection_stats.h"
#include "congestion/controller.h"
#include "congestion/delivery_states.h"
#include "congestion/rtt_stats.h"

namespace mvfstrl {

// A packet as its transport announces it.
struct HostedPacket {
  std::uint64_t number = 0;
  ByteCount size;                // UDP payload
  bool app_limited = false;      // the application had no more data than the window admits
  ByteCount retransmitted = {};  // of it, data sent before: after a loss, or as a probe
};

// Notifications that led to nothing.
struct LedgerCounters {
  std::int64_t unknown = 0;      // acknowledged, lost or discarded: never sent, or forgotten
  std::int64_t repeated = 0;     // the same, of a packet whose fate was known
  std::int64_t misnumbered = 0;  // sent under a number that is not above all before
};

class PacketLedger {
 public:
  // `persistent_congestion_threshold`: probe timeouts that losses must span.
  explicit PacketLedger(std::int32_t persistent_congestion_threshold = 3);

  // What a controller is to be told of it; none if the number does not rise.
  std::optional<SentPacket> packet_sent(TimePoint now, const HostedPacket& packet);
  // Of one flush: they take effect there.
  void packet_acked(std::uint64_t number) { acked_numbers_.push_back(number); }
  void packet_lost(std::uint64_t number) { lost_numbers_.push_back(number); }
  // At once: neither acknowledged nor lost, as when keys are dropped. The totals of what was sent keep it.
  void packet_discarded(std::uint64_t number);
  // The same of the oldest packets in flight, until no more than `bytes` are.
  void shrink_flight(ByteCount bytes);
  // The sample of the acknowledgements that the next flush books, as measured, and what the peer says that it
  // held them back. Not positive: none.
  void rtt_sample(Duration latest, Duration ack_delay);
  void probe_timeout();
  void bytes_received(ByteCount bytes) { stats_.bytes_received += bytes; }

  // Books what was acknowledged and lost. False: nothing was, so that there is no event.
  bool flush(TimePoint now);
  // Of the latest flush, until settle(); null for none.
  const AckEvent* ack() const { return acked_.empty() ? nullptr : &ack_; }
  const LossEvent* loss() const { return lost_.empty() ? nullptr : &loss_; }
  // The event has been handled: packets sent from now on follow it.
  void settle();

  const RttStats& rtt() const { return rtt_; }
  // All but the window and what it admits, which set_window() says.
  const ConnectionStats& stats() const { return stats_; }
  void set_window(ByteCount window);
  const LedgerCounters& counters() const { return counters_; }
  std::int64_t discarded() const { return discarded_; }

 private:
  enum class Fate : std::uint8_t { kInFlight, kLost, kSettled };
  struct Record {
    std::uint64_t number = 0;
    TimePoint sent_time;
    ByteCount sent_bytes;
    ByteCount size;
    DeliveryStates::Id delivery = 0;
    bool app_limited = false;
    Fate fate = Fate::kInFlight;
  };

  Record* find(std::uint64_t number);
  template <class Packet>
  Packet describe(const Record& record) const;
  void book_acked();
  void book_lost();
  void leave_flight(const Record& record);
  void discard(Record& record);
  void note_delivery();

  std::int32_t persistent_congestion_threshold_;
  Ring<Record> records_;           // in rising number
  std::uint64_t next_number_ = 0;  // above all sent so far
  RttStats rtt_;
  ConnectionStats stats_;
  DeliveryState delivery_;  // as of the latest event
  DeliveryStates deliveries_;
  LedgerCounters counters_;
  std::int64_t discarded_ = 0;

  // The event being gathered, and handled.
  std::vector<std::uint64_t> acked_numbers_, lost_numbers_;
  std::optional<Duration> sample_;
  Duration ack_delay_;
  std::vector<AckedPacket> acked_;
  std::vector<LostPacket> lost_;
  AckEvent ack_;
  LossEvent loss_;
};

}  // namespace mvfstrl
