// What else uses the bottleneck: sources that send whatever happens, and short transfers that come and go.
// The simulation moves their packets; this says when and whose they are, and counts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/delay_histogram.h"
#include "common/rng.h"
#include "environment/config.h"
#include "environment/flow.h"
#include "path/packet.h"
#include "path/tally.h"

namespace mvfstrl {

// What a source got. Bytes are counted on the link, overhead included.
struct TrafficOutcome {
  Duration active;  // from its start to its stop or the episode's end
  Tally sent;
  Tally delivered;
  Tally in_flight;         // at the episode's end; the rest of what was sent was lost
  ByteCount link_bytes;    // left the bottleneck by the episode's end and arrived
  DelayHistogram sojourn;  // of delivered packets
  // Of short transfers.
  std::int64_t completed = 0;
  std::int64_t unfinished = 0;  // under way at the episode's end
  std::int64_t blocked = 0;     // came while as many as there may be were under way, and were turned away
  DelayHistogram completion;    // from the first byte's sending to the last one's acknowledgement
};

// One connection of a short transfer; its flow's index is its number on the path.
struct Connection {
  std::size_t source;
  Flow flow;
};

class CrossTraffic {
 public:
  // Packets of the sources and their connections bear flow numbers from `first_number` on. `empty_rtt`: of
  // the path, for a connection's receiver.
  CrossTraffic(const std::vector<CrossTrafficConfig>& sources, std::uint32_t first_number,
               const TransportConfig& transport, std::uint32_t overhead_bytes, Duration empty_rtt, Rng rng);

  // When a source next sends or a transfer begins.
  TimePoint next_source() const { return next_source_; }
  // The next of what happens at or before `now`: true with a packet of a source without congestion control in
  // `packet`, or with a transfer that begins now in `connection`. Call until false.
  bool advance(TimePoint now, Packet& packet, Connection*& connection);
  // Connections under way, oldest first.
  std::span<const std::unique_ptr<Connection>> connections() const { return live_; }
  // The connection that a packet belongs to; null if it has ended or there never was one.
  Connection* find(std::uint32_t number);
  void end(Connection& connection, TimePoint now);

  void on_arrival(const Packet& packet);
  void on_inside_at_end(const Packet& packet, TimePoint end);
  std::vector<TrafficOutcome> finish(TimePoint now);

 private:
  struct Source {
    CrossTrafficConfig config;
    TimePoint start, stop;
    Duration interval;   // between packets, or the mean between transfers
    TimePoint on_until;  // on-off
    TimePoint next;
    Rng rng;
    std::int64_t live = 0;
    TrafficOutcome outcome;
  };
  std::size_t source_of(std::uint32_t number) const { return (number - first_number_) % sources_.size(); }
  void begin_source(Source& source);
  // Moves `next` to the source's next packet or transfer.
  void schedule(Source& source);
  void skip_silence(Source& source, const OnOffTraffic& traffic);
  bool open_connection(std::size_t index, TimePoint now, Connection*& connection);
  ByteCount draw_size(Source& source, const ShortFlows& traffic);
  void count_sent(Connection& connection);
  void refresh();

  std::uint32_t first_number_;
  TransportConfig transport_;
  std::uint32_t overhead_bytes_;
  Duration empty_rtt_;
  TimePoint next_source_ = TimePoint::never();
  std::vector<Source> sources_;
  std::uint32_t opened_ = 0;  // connections, in all
  std::vector<std::unique_ptr<Connection>> live_;
};

}  // namespace mvfstrl
