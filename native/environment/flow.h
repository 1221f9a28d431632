// One connection of a simulation: its endpoints, what they have under way, and what is counted of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "environment/ack_ring.h"
#include "environment/config.h"
#include "environment/delay_histogram.h"
#include "path/packet.h"
#include "path/ring.h"
#include "path/tally.h"
#include "transport/receiver.h"
#include "transport/sender.h"

namespace mvfstrl {

// What a flow got. Bytes are counted on the link, overhead included.
struct FlowOutcome {
  Duration active;          // from its start to its stop or the episode's end
  Tally sent;               // handed to the path
  Tally delivered;          // arrived at the receiver
  Tally queue_drops;
  Tally random_losses;
  Tally in_flight;          // sent = delivered + queue_drops + random_losses + in_flight
  ByteCount link_bytes;     // left the bottleneck while the flow was active, lost at random afterwards or not
  ByteCount offered_bytes;  // what the bottleneck could have carried in that time
  Duration propagation;     // one way, the flow's own delay included
  DelayHistogram sojourn;   // of delivered packets: time in the bottleneck's queue and on its wire
};

struct Flow {
  Flow(std::uint32_t flow_index, Sender flow_sender, const TransportConfig& transport, const FlowConfig& config,
       Duration shared_delay)
      : index(flow_index),
        sender(std::move(flow_sender)),
        own_delay(config.delay.value_or(Duration::zero())),
        // The receiver's own RTT estimate is that of the handshake, over an empty path.
        receiver(transport, (shared_delay + own_delay) * 2),
        start(TimePoint::zero() + config.start),
        stop(config.stop ? TimePoint::zero() + *config.stop : TimePoint::never()),
        next(start) {}

  // A packet in the flow's own delay line.
  struct Delayed {
    TimePoint due;
    Packet packet;
  };

  // Recomputes `next` after the sender was touched.
  void refresh() {
    sender_timer = running() ? sender.next_timer() : TimePoint::never();
    refresh_after_receiving();
  }
  // The same where only the receiver was.
  void refresh_after_receiving() {
    next = std::min(sender_timer, receiver.next_timer());
    if (!started) {
      next = start;
    } else if (!stopped) {
      next = std::min(next, stop);
    }
    if (!outbound.empty()) next = std::min(next, outbound.front().due);
    if (!inbound.empty()) next = std::min(next, inbound.front().due);
  }
  bool running() const { return started && !stopped; }

  std::uint32_t index;
  bool started = false;
  bool stopped = false;
  bool touched = false;  // in the present instant
  Sender sender;
  Duration own_delay;
  Receiver receiver;
  AckRing acks;
  TimePoint start, stop;
  TimePoint next;  // when it next has something to do by itself
  TimePoint sender_timer = TimePoint::never();
  Ring<Delayed> outbound;  // data before the shared link
  Ring<Delayed> inbound;   // ACKs after it

  // Counted for the outcome.
  Tally sent, delivered, dropped_at_once;
  Tally inside_at_end;   // on the shared path when the simulation ended
  ByteCount link_bytes;  // see FlowOutcome; without what was lost at random
  ByteCount offered_at_start, offered_at_stop;
  DelayHistogram sojourn;
};

}  // namespace mvfstrl
