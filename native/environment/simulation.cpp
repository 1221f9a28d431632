#include "environment/simulation.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "policy/guarded_controller.h"

namespace mvfstrl {
namespace {

// 101 and 102 are the path's (scenario.h).
enum Stream : std::uint64_t { kFlowStream = 103, kControllerStream, kCrossStream };

std::unique_ptr<CongestionController> make_controller(const FlowConfig& flow, const WindowLimits& limits,
                                                      const WindowLimits& transport_limits, Rng rng) {
  const auto* agent = std::get_if<ExternalConfig>(&flow.controller);
  if (agent != nullptr && flow.guard) {
    return std::make_unique<GuardedController>(*flow.guard, limits, *agent, transport_limits, rng);
  }
  return make_controller(virtual_controller(flow.controller), limits, rng);
}

Sender make_sender(const FlowConfig& flow, const TransportConfig& transport, const WindowLimits& limits,
                   Rng rng, Rng controller_rng) {
  return Sender(transport, make_controller(flow, limits, transport.window, controller_rng), flow.app,
                TimePoint::zero() + flow.start, rng);
}

Rng flow_rng(std::uint64_t episode_seed, std::size_t flow) {
  return Rng(episode_seed, kFlowStream).fork(flow);
}

// `part` of `total`, where `total` splits as numerator : denominator - numerator.
std::int64_t share(std::int64_t total, std::int64_t numerator, std::int64_t denominator) {
  if (denominator <= 0) return 0;
  return std::llround(static_cast<double>(total) * static_cast<double>(numerator) /
                      static_cast<double>(denominator));
}

Tally minus(const Tally& a, const Tally& b) { return {a.packets - b.packets, a.bytes - b.bytes}; }

Tally waiting(const Ring<Flow::Delayed>& line) {
  Tally tally;
  for (std::size_t i = 0; i < line.size(); ++i) tally.add(line[i].packet.size_bytes);
  return tally;
}

}  // namespace

Rng controller_rng(std::uint64_t episode_seed, std::size_t flow) {
  return flow_rng(episode_seed, flow).fork(kControllerStream);
}

Simulation::Simulation(const EpisodePath& path, const std::vector<FlowConfig>& flows,
                       const TransportConfig& transport, const WindowLimits& agent_limits,
                       std::uint64_t episode_seed, const std::vector<CrossTrafficConfig>& cross_traffic)
    : data_(path.uplink, Direction::Order::kLinkLossDelay, data_rng(episode_seed)),
      acks_(path.downlink, Direction::Order::kDelayLossLink, ack_rng(episode_seed)),
      delay_(path.uplink.delay),
      overhead_bytes_(static_cast<std::uint32_t>(path.overhead_bytes)),
      flow_count_(flows.size()) {
  const Duration empty_rtt = delay_ * 2 + lone_packet_time(path.uplink.rate, transport.window.packet_size) +
                             lone_packet_time(path.downlink.rate, ByteCount(transport.ack_padding_bytes));
  flows_.reserve(flows.size());
  for (std::uint32_t i = 0; i < flows.size(); ++i) {
    const SchemeConfig& scheme = flows[i].controller;
    const bool agent =
        std::holds_alternative<ExternalConfig>(scheme) || std::holds_alternative<RandomActions>(scheme);
    Sender sender = make_sender(flows[i], transport, agent ? agent_limits : transport.window,
                                flow_rng(episode_seed, i), controller_rng(episode_seed, i));
    flows_.emplace_back(i, std::move(sender), transport, flows[i], empty_rtt);
  }
  if (!cross_traffic.empty()) {
    cross_ =
        std::make_unique<CrossTraffic>(cross_traffic, static_cast<std::uint32_t>(flows.size()), transport,
                                       overhead_bytes_, empty_rtt, Rng(episode_seed, kCrossStream));
  }
}

TimePoint Simulation::next_beside_data() const {
  TimePoint next = acks_.next_event();
  for (const Flow& flow : flows_) next = std::min(next, flow.next());
  if (cross_) {
    next = std::min(next, cross_->next_source());
    for (const auto& connection : cross_->connections()) next = std::min(next, connection->flow.next());
  }
  return next;
}

void Simulation::run_until(TimePoint until) {
  assert(until >= now_);
  interrupted_ = false;
  while (!interrupted_) {
    const TimePoint next = next_beside_data();
    if (data_.next_event() <= std::min(next, until)) {
      deliver_data(std::min(next, until));
    } else if (next <= until) {
      now_ = std::max(now_, next);
    } else {
      break;
    }
    if (acks_.next_event() <= now_) deliver_acks();
    for (Flow& flow : flows_) {
      if (flow.next() <= now_) serve_flow(flow);
    }
    if (cross_) serve_cross();
  }
  if (!interrupted_) now_ = until;
}

// Nine arrivals in ten call for nothing else: so data is let in instant by instant until an acknowledgement
// is due, or `limit` reached, when something else happens.
void Simulation::deliver_data(TimePoint limit) {
  Packet packet;
  do {
    now_ = std::max(now_, data_.next_event());
    while (data_.advance(now_, packet)) limit = std::min(limit, arrive(packet));
  } while (now_ < limit && data_.next_event() <= limit);
  if (limit <= now_) send_due_acks();
}

void Simulation::send_due_acks() {
  for (Flow& flow : flows_) {
    if (flow.receiver.next_timer() <= now_) send_acks(flow);
  }
  if (!cross_) return;
  for (const auto& connection : cross_->connections()) {
    if (connection->flow.receiver.next_timer() <= now_) send_acks(connection->flow);
  }
}

void Simulation::count_arrival(Flow& flow, const Packet& packet) {
  flow.delivered.add(packet.size_bytes);
  flow.sojourn.add(packet.left - packet.entered);
  if (packet.left > flow.stop) [[unlikely]]
    flow.delivered_late += ByteCount(packet.size_bytes);
}

// Returns when it is to be acknowledged.
TimePoint Simulation::arrive(const Packet& packet) {
  if (packet.flow >= flow_count_) [[unlikely]]
    return arrive_cross(packet);
  Flow& flow = flows_[packet.flow];
  if (!packet.copy) [[likely]]
    count_arrival(flow, packet);
  flow.receiver.on_packet(now_, packet.id);
  return flow.receiver.next_timer();
}

void Simulation::send_acks(Flow& flow) {
  while (flow.receiver.next_timer() <= now_) {
    AckFrame& frame = flow.acks.back();
    if (!flow.receiver.take_ack(now_, frame)) break;
    Packet packet;
    packet.flow = flow.index;
    packet.size_bytes = static_cast<std::uint32_t>(frame.payload.value()) + overhead_bytes_;
    packet.id = flow.acks.push();
    acks_.enter(now_, packet);
  }
}

void Simulation::deliver_acks() {
  Packet packet;
  while (acks_.next_event() <= now_ && acks_.advance(now_, packet)) {
    if (packet.flow >= flows_.size()) [[unlikely]] {
      ack_connection(packet);
      continue;
    }
    Flow& flow = flows_[packet.flow];
    if (flow.own_delay.is_zero()) {
      receive_ack(flow, packet.id);
    } else {
      flow.inbound.push({now_ + flow.own_delay, packet});
    }
    flow.refresh();
  }
}

void Simulation::receive_ack(Flow& flow, std::uint64_t sequence) {
  if (flow.running()) {
    flow.sender.on_ack(now_, flow.acks.at(sequence));
  }
  flow.acks.release(sequence);
  // mvfst's sender reads one datagram, then writes: ACKs of one instant are not answered together.
  send_data(flow);
}

void Simulation::serve_flow(Flow& flow) {
  if (!flow.started && flow.start <= now_) start_flow(flow);
  if (!flow.stopped && flow.stop <= now_) stop_flow(flow);
  while (!flow.outbound.empty() && flow.outbound.front().due <= now_) {
    enter_data(flow, flow.outbound.pop().packet);
  }
  while (!flow.inbound.empty() && flow.inbound.front().due <= now_) {
    receive_ack(flow, flow.inbound.pop().packet.id);
  }
  send_acks(flow);
  if (flow.running()) {
    if (flow.sender.next_timer() <= now_) flow.sender.on_timer(now_);
    send_data(flow);
  }
  flow.refresh();
}

void Simulation::start_flow(Flow& flow) {
  flow.started = true;
  flow.offered_at_start = data_.offered_bytes(now_);
}

void Simulation::stop_flow(Flow& flow) {
  flow.stopped = true;
  flow.offered_at_stop = data_.offered_bytes(now_);
}

void Simulation::send_data(Flow& flow) {
  if (!flow.running()) return;
  DataPacket data;
  Packet packet;
  packet.flow = flow.index;
  while (flow.sender.next_packet(now_, data)) {
    packet.id = data.packet_number;
    packet.size_bytes = static_cast<std::uint32_t>(data.payload.value()) + overhead_bytes_;
    if (flow.at_the_path) {
      enter_data(flow, packet);
    } else {
      send_later(flow, packet);
    }
  }
}

void Simulation::send_later(Flow& flow, const Packet& packet) {
  const TimePoint due = flow.leaves_at(now_);
  if (due <= now_) {
    enter_data(flow, packet);
  } else {
    flow.outbound.push({due, packet});
  }
}

void Simulation::enter_data(Flow& flow, const Packet& packet) {
  if (data_.enter(now_, packet)) return;
  flow.dropped_at_once.add(packet.size_bytes);
  if (packet.flow >= flows_.size()) cross_refused_.add(packet.size_bytes);
}

void Simulation::pump(std::size_t index) {
  Flow& flow = flows_[index];
  send_data(flow);
  flow.refresh();
}

// --- cross traffic

TimePoint Simulation::arrive_cross(const Packet& packet) {
  if (!packet.copy) cross_->on_arrival(packet);
  Connection* connection = cross_->find(packet.flow);
  if (connection == nullptr) return TimePoint::never();
  connection->flow.receiver.on_packet(now_, packet.id);
  return connection->flow.receiver.next_timer();
}

void Simulation::ack_connection(const Packet& packet) {
  Connection* connection = cross_->find(packet.flow);
  if (connection == nullptr) return;  // it has ended
  receive_ack(connection->flow, packet.id);
  connection->flow.refresh();
  if (connection->flow.sender.finished()) cross_->end(*connection, now_);
}

void Simulation::serve_cross() {
  for (const auto& connection : cross_->connections()) {
    if (connection->flow.next() <= now_) serve_flow(connection->flow);
  }
  Packet packet;
  Connection* begun = nullptr;
  while (cross_->advance(now_, packet, begun)) {
    if (begun != nullptr) {
      serve_flow(begun->flow);
    } else {
      if (!data_.enter(now_, packet)) cross_refused_.add(packet.size_bytes);
    }
  }
}

std::vector<TrafficOutcome> Simulation::traffic_outcomes() {
  return cross_ ? cross_->finish(now_) : std::vector<TrafficOutcome>{};
}

Tally Simulation::outside_path(std::size_t flow) const { return waiting(flows_[flow].outbound); }

std::vector<FlowOutcome> Simulation::finish() {
  for (Flow& flow : flows_) {
    if (flow.started && !flow.stopped) stop_flow(flow);
    flow.stop = std::min(flow.stop, now_);
  }
  const PathCounters at_end = data_counters();
  drain_link();
  std::vector<FlowOutcome> outcomes;
  outcomes.reserve(flows_.size());
  for (Flow& flow : flows_) outcomes.push_back(outcome(flow, at_end, data_.counters()));
  return outcomes;
}

// Lets what is inside arrive, with nothing sent any more: so it is known whose it is, and what has left the
// link by the end.
void Simulation::drain_link() {
  Packet packet;
  for (TimePoint next = data_.next_event(); !next.is_never(); next = data_.next_event()) {
    if (!data_.advance(next, packet)) continue;
    if (packet.flow >= flows_.size()) {
      if (!packet.copy) cross_->on_inside_at_end(packet, now_);
      continue;
    }
    if (packet.copy) continue;
    Flow& flow = flows_[packet.flow];
    flow.inside_at_end.add(packet.size_bytes);
    if (packet.left <= flow.stop) flow.inside_past_link += ByteCount(packet.size_bytes);
  }
}

Tally Simulation::sent(Flow& flow) const {
  const ConnectionStats& stats = flow.sender.stats();
  const auto packets = static_cast<std::int64_t>(stats.packets_sent);
  return {packets, stats.bytes_sent.value() + packets * std::int64_t{overhead_bytes_}};
}

FlowOutcome Simulation::outcome(Flow& flow, const PathCounters& at_end,
                                const DirectionCounters& drained) const {
  FlowOutcome result;
  result.active = flow.started ? flow.stop - flow.start : Duration::zero();
  result.sent = sent(flow);
  result.delivered = flow.delivered;
  result.propagation = delay_ + flow.own_delay;
  result.sojourn = flow.sojourn;
  result.offered_bytes = flow.offered_at_stop - flow.offered_at_start;
  if (flows_.size() == 1 && !cross_ && drained.duplicated.packets == 0) {
    result.queue_drops = at_end.counters.queue_drops;
    result.random_losses = at_end.counters.random_losses;
    result.in_flight = at_end.inside + waiting(flow.outbound);
  } else {
    // The path tells whose packet it refused, not whose it dropped later (an active queue) or lost at random:
    // those are shared out as they fell in all, which is exact while only one of the two happens.
    result.in_flight = flow.inside_at_end + waiting(flow.outbound);
    const Tally later = minus(minus(result.sent, flow.delivered + result.in_flight), flow.dropped_at_once);
    Tally refused = cross_refused_;
    for (const Flow& other : flows_) refused = refused + other.dropped_at_once;
    const Tally late_drops = minus(drained.queue_drops, refused);
    const Tally both = late_drops + drained.random_losses;
    result.random_losses = {share(later.packets, drained.random_losses.packets, both.packets),
                            share(later.bytes, drained.random_losses.bytes, both.bytes)};
    result.queue_drops = flow.dropped_at_once + minus(later, result.random_losses);
  }
  result.link_bytes = ByteCount(flow.delivered.bytes) - flow.delivered_late + flow.inside_past_link +
                      ByteCount(result.random_losses.bytes);
  return result;
}

}  // namespace mvfstrl
