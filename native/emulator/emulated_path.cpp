#include "emulator/emulated_path.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace mvfstrl {
namespace {

constexpr auto kDataOrder = Direction::Order::kLinkLossDelay;
constexpr auto kAckOrder = Direction::Order::kDelayLossLink;

Offered offered_of(const EmulatedPathConfig& config, EmulatedPath::Side side) {
  if (side == EmulatedPath::Side::kClient) return {config.data, kDataOrder, config.data_rng};
  return {config.acks, kAckOrder, config.ack_rng};
}

}  // namespace

EmulatedPath::EmulatedPath(const EmulatedPathConfig& config, Ports ports, DatagramPool& pool)
    : config_(config),
      ports_(std::move(ports)),
      data_(config.data, kDataOrder, config.data_rng, config.overhead_bytes, pool),
      acks_(config.acks, kAckOrder, config.ack_rng, config.overhead_bytes, pool),
      data_offered_(offered_of(config, Side::kClient)),
      acks_offered_(offered_of(config, Side::kServer)) {
  if (config.series) series_.emplace(*config.series, offered_of(config, Side::kClient));
  if (!config.log) return;
  data_log_.emplace(*config.log + ".uplink.log", "uplink of " + config.name,
                    offered_of(config, Side::kClient));
  ack_log_.emplace(*config.log + ".downlink.log", "downlink of " + config.name,
                   offered_of(config, Side::kServer));
}

void EmulatedPath::start(TimePoint now) {
  if (zero_) return;
  zero_ = now;
  const std::int64_t unix_ms = read_clock(CLOCK_REALTIME).ns() / 1'000'000;
  if (data_log_) data_log_->begin(unix_ms);
  if (ack_log_) ack_log_->begin(unix_ms);
}

TimePoint EmulatedPath::next_event() const {
  const TimePoint next = std::min(data_.next_event(), acks_.next_event());
  return next.is_never() ? TimePoint::never() : *zero_ + (next - TimePoint::zero());
}

void EmulatedPath::receive(Side side, const StampClock& clock, ReceiveBatch& arrivals,
                           SendBatch& departures) {
  constexpr int kBatches = 8;  // then it is another socket's turn
  TimePoint& read_until = read_until_[static_cast<std::size_t>(side)];
  for (int batch = 0; batch < kBatches; ++batch) {
    const int result = port(side).read(arrivals);
    if (result < 0 && errno == ECONNREFUSED) ++faults_.unsent;  // what became of an earlier write
    const auto count = static_cast<std::size_t>(std::max(0, result));
    for (std::size_t i = 0; i < count; ++i) {
      read_until = arrivals.arrived(i, clock);
      if (!zero_) start(read_until);
      deliver_from(side, read_until, departures);
      admit(side, read_until, arrivals, i);
    }
    write(side, departures);
    if (count < ReceiveBatch::kSize) {
      read_until = TimePoint::never();
      return;
    }
  }
}

void EmulatedPath::admit(Side side, TimePoint at, ReceiveBatch& arrivals, std::size_t i) {
  if (at < stalled_until_) {
    ++faults_.stalled;
  } else if (arrivals.truncated(i)) {
    ++faults_.oversized;
  } else if (!port(other(side)).addressed()) {
    ++faults_.unaddressed;
  } else if (Datagram* datagram = arrivals.take(i)) {
    into(side).enter(path_time(at), datagram);
  } else {
    ++faults_.overflow;
  }
}

void EmulatedPath::deliver(TimePoint now, SendBatch& departures) {
  if (!zero_) return;
  for (const Side side : {Side::kClient, Side::kServer}) {
    deliver_from(side, std::min(now, read_until_[static_cast<std::size_t>(side)]), departures);
    write(side, departures);
  }
  settle();
}

void EmulatedPath::deliver_from(Side side, TimePoint until, SendBatch& departures) {
  TimePoint due;
  while (Datagram* datagram = into(side).advance(path_time(until), due)) {
    departures.add(*datagram, due);
    if (departures.full()) write(side, departures);
  }
}

// What came in at one side goes out at the other.
void EmulatedPath::write(Side side, SendBatch& departures) {
  if (departures.empty()) return;
  faults_.unsent += port(other(side)).write(departures);
  const TimePoint done = path_time(monotonic_now());
  for (const TimePoint due : departures.due()) {
    lateness_.add(done - due);
    lateness_max_ = std::max(lateness_max_, done - due);
  }
}

void EmulatedPath::settle() {
  data_.settle(data_log_ ? &*data_log_ : nullptr, series_ ? &*series_ : nullptr);
  acks_.settle(ack_log_ ? &*ack_log_ : nullptr);
}

LinkReport EmulatedPath::report_link(Relay& relay, Offered& offered, Duration propagation, TimePoint now) {
  const DirectionCounters& counters = relay.counters();
  return {.sent = counters.entered,
          .delivered = relay.delivered(),
          .queue_drops = counters.queue_drops,
          .random_losses = counters.random_losses,
          .in_flight_packets = relay.packets_inside(),
          .duplicated_packets = counters.duplicated.packets,
          .link_bytes = relay.link_bytes(),
          .offered_bytes = offered.bytes(now),
          .propagation = propagation,
          .sojourn = relay.sojourn()};
}

PathReport EmulatedPath::report(TimePoint now) {
  const TimePoint at = zero_ ? path_time(now) : TimePoint::zero();
  settle();
  if (data_log_) data_log_->finish(at);
  if (ack_log_) ack_log_->finish(at);
  PathReport report{.length = at - TimePoint::zero(),
                    .data = report_link(data_, data_offered_, config_.data.delay, at),
                    .acks = report_link(acks_, acks_offered_, config_.acks.delay, at),
                    .faults = faults_,
                    .lateness = lateness_,
                    .lateness_max = lateness_max_,
                    .series = series_ ? series_->until(at) : std::vector<LinkPoint>{}};
  report.faults.overruns = ports_.client->overruns() + ports_.server->overruns();
  return report;
}

}  // namespace mvfstrl
