// One connection of a simulation: its endpoints, what they have under way, and what is counted of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "common/delay_histogram.h"
#include "common/ring.h"
#include "environment/ack_ring.h"
#include "environment/config.h"
#include "path/packet.h"
#include "path/tally.h"
#include "transport/receiver.h"
#include "transport/sender.h"

namespace mvfstrl {

// What a flow got. Bytes are counted on the link, overhead included.
struct FlowOutcome {
  Duration active;  // from its start to its stop or the episode's end
  Tally sent;       // handed to the path
  Tally delivered;  // arrived at the receiver
  Tally queue_drops;
  Tally random_losses;
  Tally in_flight;          // sent = delivered + queue_drops + random_losses + in_flight
  ByteCount link_bytes;     // left the bottleneck while the flow was active, lost at random afterwards or not
  ByteCount offered_bytes;  // what the bottleneck could have carried in that time
  Duration propagation;     // one way, the flow's own delay included
  DelayHistogram sojourn;   // of delivered packets: time in the bottleneck's queue and on its wire
};

struct Flow {
  Flow(std::uint32_t flow_index, Sender flow_sender, const TransportConfig& transport,
       const FlowConfig& config, Duration shared_rtt)
      : index(flow_index),
        sender(std::move(flow_sender)),
        own_delay(config.delay.value_or(Duration::zero())),
        // The receiver's own RTT estimate is that of the handshake, over an empty path.
        receiver(transport, shared_rtt + own_delay * 2),
        start(TimePoint::zero() + config.start),
        stop(config.stop ? TimePoint::zero() + *config.stop : TimePoint::never()),
        own_next(start),
        send_time(transport.send_time),
        at_the_path(own_delay.is_zero() && send_time.is_zero()) {}

  // When a packet that is sent now gets to the shared path: behind those that the host is busy with.
  TimePoint leaves_at(TimePoint now) {
    const TimePoint leaves = std::max(now, busy_until);
    busy_until = leaves + send_time;
    return leaves + own_delay;
  }

  // A packet in the flow's own delay line.
  struct Delayed {
    TimePoint due;
    Packet packet;
  };

  // Recomputes `own_next` after the sender or a delay line was touched.
  void refresh() {
    own_next = TimePoint::never();
    if (!started) {
      own_next = start;
    } else if (!stopped) {
      own_next = std::min(sender.next_timer(), stop);
    }
    if (!outbound.empty()) own_next = std::min(own_next, outbound.front().due);
    if (!inbound.empty()) own_next = std::min(own_next, inbound.front().due);
  }
  // When the flow next has something to do by itself.
  TimePoint next() const { return std::min(own_next, receiver.next_timer()); }
  bool running() const { return started && !stopped; }

  std::uint32_t index;
  bool started = false;
  bool stopped = false;
  Sender sender;
  Duration own_delay;
  Receiver receiver;
  AckRing acks;
  TimePoint start, stop;
  TimePoint own_next;  // next(), the receiver left aside
  Duration send_time;
  bool at_the_path;  // what is sent is there at once
  TimePoint busy_until;
  Ring<Delayed> outbound;  // data before the shared link
  Ring<Delayed> inbound;   // ACKs after it

  // Counted for the outcome.
  Tally delivered, dropped_at_once;
  ByteCount delivered_late;    // of `delivered`: left the link after the flow's stop
  Tally inside_at_end;         // on the shared path when the simulation ended
  ByteCount inside_past_link;  // of these: had left the link by then
  ByteCount offered_at_start, offered_at_stop;
  DelayHistogram sojourn;
};

}  // namespace mvfstrl
