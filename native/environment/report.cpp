#include "environment/report.h"

#include <bit>
#include <utility>

#include "environment/columns.h"

namespace mvfstrl {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

Value flow_value(const FlowReport& f) {
  Value::Map map{
      {"flow", std::int64_t{f.flow}},
      {"scheme", f.scheme},
      {"throughput_mbps", f.throughput_mbps},
      {"utilisation", f.utilisation},
      {"delay_mean_ms", f.delay_mean_ms},
      {"delay_p50_ms", f.delay_p50_ms},
      {"delay_p95_ms", f.delay_p95_ms},
      {"queue_delay_mean_ms", f.queue_delay_mean_ms},
      {"queue_delay_p50_ms", f.queue_delay_p50_ms},
      {"queue_delay_p95_ms", f.queue_delay_p95_ms},
      {"loss", f.loss},
      {"queue_loss", f.queue_loss},
      {"sent_packets", f.sent_packets},
      {"delivered_packets", f.delivered_packets},
      {"queue_drops", f.queue_drops},
      {"random_losses", f.random_losses},
      {"in_flight_packets", f.in_flight_packets},
      {"return", f.episode_return},
      {"steps", f.steps},
      {"skipped_observations", f.skipped_observations},
  };
  if (f.guard) map.emplace_back("guard", to_value(*f.guard));
  return Value(std::move(map));
}

Value traffic_value(const TrafficReport& t) {
  return Value(Value::Map{
      {"kind", t.kind},
      {"throughput_mbps", t.throughput_mbps},
      {"queue_delay_mean_ms", t.queue_delay_mean_ms},
      {"queue_delay_p95_ms", t.queue_delay_p95_ms},
      {"loss", t.loss},
      {"sent_packets", t.sent_packets},
      {"delivered_packets", t.delivered_packets},
      {"in_flight_packets", t.in_flight_packets},
      {"completed", t.completed},
      {"unfinished", t.unfinished},
      {"blocked", t.blocked},
      {"completion_mean_ms", t.completion_mean_ms},
      {"completion_p50_ms", t.completion_p50_ms},
      {"completion_p95_ms", t.completion_p95_ms},
  });
}

Value series_value(const std::vector<SeriesPoint>& series) {
  return Value(Value::Map{
      {"flow", column(series, &SeriesPoint::flow)},
      {"time_ms", column(series, &SeriesPoint::time_ms)},
      {"throughput_mbps", column(series, &SeriesPoint::throughput_mbps)},
      {"capacity_mbps", column(series, &SeriesPoint::capacity_mbps)},
      {"queue_delay_ms", column(series, &SeriesPoint::queue_delay_ms)},
      {"window_packets", column(series, &SeriesPoint::window_packets)},
      {"sent_packets", column(series, &SeriesPoint::sent_packets)},
      {"lost_packets", column(series, &SeriesPoint::lost_packets)},
      {"loss", column(series, &SeriesPoint::loss)},
      {"action", column(series, &SeriesPoint::action)},
      {"reward", column(series, &SeriesPoint::reward)},
      {"rtt_ms", column(series, &SeriesPoint::rtt_ms)},
      {"skipped", column(series, &SeriesPoint::skipped)},
      {"cross_mbps", column(series, &SeriesPoint::cross_mbps)},
  });
}

}  // namespace

Value to_value(const GuardReport& g) {
  Value::Map fallbacks;
  for (std::size_t i = 0; i < kGuardReasons.size(); ++i) {
    fallbacks.emplace_back(kGuardReasons[i], g.counters.fallbacks[i]);
  }
  Value::List events;
  for (const GuardEvent& event : g.events) {
    events.emplace_back(Value::Map{
        {"time_ms", event.now.to_ms()},
        {"driver", event.driver == Driver::kPolicy ? "policy" : "fallback"},
        {"reason", kGuardReasons[static_cast<std::size_t>(event.reason)]},
        {"window_bytes", event.window.value()},
    });
  }
  return Value(Value::Map{
      {"fallbacks", std::move(fallbacks)},
      {"returns", g.counters.returns},
      {"decisions", g.counters.decisions},
      {"shadowed", g.counters.shadowed},
      {"fallback_share", g.fallback_share},
      {"events", std::move(events)},
  });
}

FlowReport report_flow(std::int32_t index, const std::string& scheme, const FlowOutcome& o) {
  FlowReport r;
  r.flow = index;
  r.scheme = scheme;
  if (o.active > Duration::zero()) {
    r.throughput_mbps = Bandwidth::from_bytes_over(o.link_bytes, o.active).to_mbps();
  }
  r.utilisation =
      ratio(static_cast<double>(o.link_bytes.value()), static_cast<double>(o.offered_bytes.value()));
  if (o.sojourn.count() > 0) {
    r.queue_delay_mean_ms = o.sojourn.mean().to_ms();
    r.queue_delay_p50_ms = o.sojourn.percentile(0.50).to_ms();
    r.queue_delay_p95_ms = o.sojourn.percentile(0.95).to_ms();
    r.delay_mean_ms = r.queue_delay_mean_ms + o.propagation.to_ms();
    r.delay_p50_ms = r.queue_delay_p50_ms + o.propagation.to_ms();
    r.delay_p95_ms = r.queue_delay_p95_ms + o.propagation.to_ms();
  }
  const std::int64_t lost = o.queue_drops.packets + o.random_losses.packets;
  r.loss = ratio(static_cast<double>(lost), static_cast<double>(lost + o.delivered.packets));
  r.queue_loss = ratio(static_cast<double>(o.queue_drops.packets), static_cast<double>(o.sent.packets));
  r.sent_packets = o.sent.packets;
  r.delivered_packets = o.delivered.packets;
  r.queue_drops = o.queue_drops.packets;
  r.random_losses = o.random_losses.packets;
  r.in_flight_packets = o.in_flight.packets;
  return r;
}

GuardReport report_guard(const Guard& guard, Duration active, TimePoint stop,
                         std::vector<GuardEvent> events) {
  return {.counters = guard.counters(),
          .fallback_share = ratio(guard.fallback_time(stop).to_ms(), active.to_ms()),
          .events = std::move(events)};
}

TrafficReport report_traffic(const CrossTrafficConfig& config, const TrafficOutcome& o) {
  TrafficReport r;
  r.kind = kTrafficKinds[config.index()];
  if (o.active > Duration::zero()) {
    r.throughput_mbps = Bandwidth::from_bytes_over(o.link_bytes, o.active).to_mbps();
  }
  r.queue_delay_mean_ms = o.sojourn.mean().to_ms();
  r.queue_delay_p95_ms = o.sojourn.percentile(0.95).to_ms();
  const std::int64_t known = o.sent.packets - o.in_flight.packets;
  r.loss = ratio(static_cast<double>(known - o.delivered.packets), static_cast<double>(known));
  r.sent_packets = o.sent.packets;
  r.delivered_packets = o.delivered.packets;
  r.in_flight_packets = o.in_flight.packets;
  r.completed = o.completed;
  r.unfinished = o.unfinished;
  r.blocked = o.blocked;
  r.completion_mean_ms = o.completion.mean().to_ms();
  r.completion_p50_ms = o.completion.percentile(0.50).to_ms();
  r.completion_p95_ms = o.completion.percentile(0.95).to_ms();
  return r;
}

Value to_value(const EpisodeReport& report) {
  Value::List traffic;
  for (const TrafficReport& source : report.cross_traffic) traffic.push_back(traffic_value(source));
  Value::List flows;
  for (const FlowReport& flow : report.flows) flows.push_back(flow_value(flow));
  Value::Map map{
      {"env", report.env},
      {"episode", report.episode},
      {"seed", std::bit_cast<std::int64_t>(report.seed)},
      {"scenario_index", std::int64_t{report.scenario_index}},
      {"scenario", report.scenario},
      {"steps", report.steps},
      {"return", report.episode_return},
      {"return_terms", Value(Value::Map{{"throughput", report.return_terms.throughput},
                                        {"delay", report.return_terms.delay},
                                        {"loss", report.return_terms.loss}})},
      {"skipped_observations", report.skipped_observations},
      {"terminated", report.terminated},
      {"length_ms", report.length_ms},
      {"flows", std::move(flows)},
      {"cross_traffic", std::move(traffic)},
  };
  if (!report.series.empty()) map.emplace_back("series", series_value(report.series));
  return Value(std::move(map));
}

}  // namespace mvfstrl
