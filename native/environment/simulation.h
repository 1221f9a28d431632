// Several QUIC connections over one path under a virtual clock. Everything that waits, waits in the FIFO
// pipes of its component; the clock jumps to the earliest of their next events, and no heap holds a packet.
//
// At one instant things happen in a fixed order: data packets arrive, ACKs arrive, then each flow in turn
// serves its timers and sends, cross traffic last. Packets that reach a receiver together are read together
// before an ACK leaves, as mvfst's socket callback does; a sender answers each ACK before it reads the next.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/delay_histogram.h"
#include "environment/config.h"
#include "environment/cross_traffic.h"
#include "environment/flow.h"
#include "environment/scenario.h"
#include "path/direction.h"

namespace mvfstrl {

// entered = delivered + queue_drops + random_losses + inside, in packets and bytes.
struct PathCounters {
  DirectionCounters counters;
  Tally inside;
};

// What a flow's controller draws lots with.
Rng controller_rng(std::uint64_t episode_seed, std::size_t flow);

class Simulation {
 public:
  // `agent_limits`: the window limits of flows that agents drive; the transport's serve all others. Throws
  // std::invalid_argument naming the bad item.
  Simulation(const EpisodePath& path, const std::vector<FlowConfig>& flows, const TransportConfig& transport,
             const WindowLimits& agent_limits, std::uint64_t episode_seed,
             const std::vector<CrossTrafficConfig>& cross_traffic = {});
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  TimePoint now() const { return now_; }
  // Lets everything up to and including `until` happen, or stops at the instant in which interrupt() was
  // called.
  void run_until(TimePoint until);
  // From within an observer: run_until() is to return when the present instant is done with.
  void interrupt() { interrupted_ = true; }
  // Whether the latest run_until() was.
  bool interrupted() const { return interrupted_; }

  std::size_t flow_count() const { return flow_count_; }
  Sender& sender(std::size_t flow) { return flows_[flow].sender; }
  // Sends what a window changed from outside admits.
  void pump(std::size_t flow);
  // The flow has had every byte of a fixed-size transfer acknowledged.
  bool finished(std::size_t flow = 0) const { return flows_[flow].sender.finished(); }

  // Appends what happens at the links from now on; the logs must outlive the simulation.
  void record(LinkLog& data) { data_.record(&data); }
  void record(LinkLog& data, LinkLog& acks) {
    record(data);
    acks_.record(&acks);
  }

  PathCounters data_counters() const { return {data_.counters(), data_.inside()}; }
  PathCounters ack_counters() const { return {acks_.counters(), acks_.inside()}; }
  // Data in a flow's own delay line, sent and not yet on the shared path.
  Tally outside_path(std::size_t flow) const;
  ByteCount offered_bytes() { return data_.offered_bytes(now_); }

  // Ends the simulation and says what each flow got of it. To be called once, as the last but for
  // traffic_outcomes().
  std::vector<FlowOutcome> finish();
  // After finish(): what the cross traffic got, source by source.
  std::vector<TrafficOutcome> traffic_outcomes();

 private:
  // When something other than an arrival of data happens.
  TimePoint next_beside_data() const;
  void deliver_data(TimePoint limit);
  void send_due_acks();
  void deliver_acks();
  void serve_flow(Flow& flow);
  void send_data(Flow& flow);
  void send_later(Flow& flow, const Packet& packet);
  void enter_data(Flow& flow, const Packet& packet);
  void send_acks(Flow& flow);
  void receive_ack(Flow& flow, std::uint64_t sequence);
  TimePoint arrive(const Packet& packet);
  static void count_arrival(Flow& flow, const Packet& packet);
  void start_flow(Flow& flow);
  Tally sent(Flow& flow) const;
  void stop_flow(Flow& flow);
  void drain_link();
  TimePoint arrive_cross(const Packet& packet);
  void ack_connection(const Packet& packet);
  void serve_cross();
  FlowOutcome outcome(Flow& flow, const PathCounters& at_end, const DirectionCounters& drained) const;

  TimePoint now_;
  Direction data_;
  Direction acks_;
  Duration delay_;
  std::uint32_t overhead_bytes_;
  bool interrupted_ = false;
  std::vector<Flow> flows_;
  std::size_t flow_count_;               // of them: dividing for it is no small part of an arrival
  std::unique_ptr<CrossTraffic> cross_;  // null: there is none
  Tally cross_refused_;
};

}  // namespace mvfstrl
