#include "environment/cross_traffic.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mvfstrl {
namespace {

const TrafficSpan& span_of(const CrossTrafficConfig& config) {
  return std::visit([](const auto& traffic) -> const TrafficSpan& { return traffic; }, config);
}

}  // namespace

CrossTraffic::CrossTraffic(const std::vector<CrossTrafficConfig>& sources, std::uint32_t first_number,
                           const TransportConfig& transport, std::uint32_t overhead_bytes, Duration empty_rtt,
                           Rng rng)
    : first_number_(first_number),
      transport_(transport),
      overhead_bytes_(overhead_bytes),
      empty_rtt_(empty_rtt) {
  for (std::size_t i = 0; i < sources.size(); ++i) {
    Source& source = sources_.emplace_back();
    source.config = sources[i];
    source.rng = rng.fork(i);
    begin_source(source);
  }
  refresh();
}

void CrossTraffic::begin_source(Source& source) {
  const TrafficSpan& span = span_of(source.config);
  source.start = TimePoint::zero() + span.start;
  source.stop = span.stop ? TimePoint::zero() + *span.stop : TimePoint::never();
  if (const auto* transfers = std::get_if<ShortFlows>(&source.config)) {
    source.interval = transfers->rate.transfer_time(transfers->mean_size);
    source.next = source.start;
    schedule(source);
    return;
  }
  source.interval = span.rate.transfer_time(transport_.window.packet_size + ByteCount(overhead_bytes_));
  // Sources of one rate do not march in step.
  source.next = source.start + source.interval.scaled(source.rng.uniform());
  if (const auto* bursts = std::get_if<OnOffTraffic>(&source.config)) {
    source.on_until = source.start;
    skip_silence(source, *bursts);
  }
  if (source.next >= source.stop) source.next = TimePoint::never();
}

void CrossTraffic::schedule(Source& source) {
  if (std::holds_alternative<ShortFlows>(source.config)) {
    source.next += Duration::from_ms_f(source.rng.exponential(source.interval.to_ms()));
  } else {
    source.next += source.interval;
    if (const auto* bursts = std::get_if<OnOffTraffic>(&source.config)) skip_silence(source, *bursts);
  }
  if (source.next >= source.stop) source.next = TimePoint::never();
}

// Bursts and silences alternate, starting with a burst; a packet that would fall into a silence begins the
// next burst.
void CrossTraffic::skip_silence(Source& source, const OnOffTraffic& traffic) {
  const auto draw = [&](Duration mean) {
    return traffic.exponential ? Duration::from_ms_f(source.rng.exponential(mean.to_ms())) : mean;
  };
  if (source.on_until == source.start) source.on_until = source.start + draw(traffic.on);
  while (source.next >= source.on_until) {
    const TimePoint burst = source.on_until + draw(traffic.off);
    source.next = std::max(source.next, burst);
    source.on_until = burst + draw(traffic.on);
  }
}

void CrossTraffic::refresh() {
  next_source_ = TimePoint::never();
  for (const Source& source : sources_) next_source_ = std::min(next_source_, source.next);
}

bool CrossTraffic::advance(TimePoint now, Packet& packet, Connection*& connection) {
  connection = nullptr;
  while (next_source_ <= now) {
    const auto due = std::find_if(sources_.begin(), sources_.end(),
                                  [this](const Source& source) { return source.next == next_source_; });
    const auto index = static_cast<std::size_t>(due - sources_.begin());
    schedule(*due);
    refresh();
    if (std::holds_alternative<ShortFlows>(due->config)) {
      if (open_connection(index, now, connection)) return true;
      continue;
    }
    packet = Packet{};
    packet.flow = first_number_ + static_cast<std::uint32_t>(index);
    packet.size_bytes = static_cast<std::uint32_t>(transport_.window.packet_size.value()) + overhead_bytes_;
    due->outcome.sent.add(packet.size_bytes);
    return true;
  }
  return false;
}

bool CrossTraffic::open_connection(std::size_t index, TimePoint now, Connection*& connection) {
  Source& source = sources_[index];
  const auto& traffic = std::get<ShortFlows>(source.config);
  if (source.live >= traffic.max_flows) {
    ++source.outcome.blocked;
    return false;
  }
  ++opened_;
  // Every connection has a number of its own, from which its source can be told.
  const auto number = first_number_ + static_cast<std::uint32_t>(index) +
                      opened_ * static_cast<std::uint32_t>(sources_.size());
  FlowConfig flow;
  flow.controller = traffic.controller;
  flow.start = now - TimePoint::zero();
  flow.app = FixedSizeApp{draw_size(source, traffic)};
  const Rng rng = source.rng.fork(opened_);
  Sender sender(transport_, make_controller(virtual_controller(traffic.controller), transport_.window, rng),
                flow.app, now, rng);
  ++source.live;
  live_.push_back(std::make_unique<Connection>(
      Connection{index, Flow(number, std::move(sender), transport_, flow, empty_rtt_)}));
  connection = live_.back().get();
  return true;
}

ByteCount CrossTraffic::draw_size(Source& source, const ShortFlows& traffic) {
  const auto mean = static_cast<double>(traffic.mean_size.value());
  double size = mean;
  if (traffic.size == SizeDistribution::kExponential) size = source.rng.exponential(mean);
  if (traffic.size == SizeDistribution::kPareto) {
    const double shape = traffic.pareto_shape;
    const double smallest = mean * (shape - 1) / shape;
    size = smallest * std::pow(1 - source.rng.uniform(), -1 / shape);
  }
  return ByteCount(std::max<std::int64_t>(std::llround(size), 1));
}

Connection* CrossTraffic::find(std::uint32_t number) {
  const auto found = std::find_if(live_.begin(), live_.end(),
                                  [number](const auto& live) { return live->flow.index == number; });
  return found == live_.end() ? nullptr : found->get();
}

void CrossTraffic::count_sent(Connection& connection) {
  const ConnectionStats& stats = connection.flow.sender.stats();
  const auto packets = static_cast<std::int64_t>(stats.packets_sent);
  Tally& sent = sources_[connection.source].outcome.sent;
  sent = sent + Tally{packets, stats.bytes_sent.value() + packets * std::int64_t{overhead_bytes_}};
}

void CrossTraffic::end(Connection& connection, TimePoint now) {
  count_sent(connection);
  Source& source = sources_[connection.source];
  --source.live;
  ++source.outcome.completed;
  source.outcome.completion.add(now - connection.flow.start);
  std::erase_if(live_, [&](const auto& live) { return live.get() == &connection; });
}

void CrossTraffic::on_arrival(const Packet& packet) {
  TrafficOutcome& outcome = sources_[source_of(packet.flow)].outcome;
  outcome.delivered.add(packet.size_bytes);
  outcome.link_bytes += ByteCount(packet.size_bytes);
  outcome.sojourn.add(packet.left - packet.entered);
}

void CrossTraffic::on_inside_at_end(const Packet& packet, TimePoint end) {
  TrafficOutcome& outcome = sources_[source_of(packet.flow)].outcome;
  outcome.in_flight.add(packet.size_bytes);
  if (packet.left <= end) outcome.link_bytes += ByteCount(packet.size_bytes);
}

std::vector<TrafficOutcome> CrossTraffic::finish(TimePoint now) {
  for (const auto& connection : live_) count_sent(*connection);
  std::vector<TrafficOutcome> outcomes;
  for (Source& source : sources_) {
    source.outcome.active = std::max(std::min(source.stop, now) - source.start, Duration::zero());
    source.outcome.unfinished = source.live;
    outcomes.push_back(source.outcome);
  }
  return outcomes;
}

}  // namespace mvfstrl
