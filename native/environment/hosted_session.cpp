#include "environment/hosted_session.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "environment/agent.h"
#include "environment/columns.h"
#include "environment/environment.h"
#include "environment/report.h"
#include "environment/series.h"
#include "environment/simulation.h"

namespace mvfstrl {
namespace {

std::size_t agent_number(const std::vector<FlowConfig>& flows, std::size_t flow) {
  const std::vector<std::size_t> agents = agent_flows(flows);
  return static_cast<std::size_t>(std::find(agents.begin(), agents.end(), flow) - agents.begin());
}

SessionConfig session_config(const EnvironmentConfig& config, const HostedOptions& options) {
  SessionConfig session;
  session.guard = options.guard;
  session.fallback_limits = config.transport.window;
  session.pacing = forced_pacing(config.transport.pacing);
  session.observation = config.observation;
  session.actions = config.actions;
  session.reward = config.reward;
  session.persistent_congestion_threshold = config.transport.persistent_congestion_threshold;
  if (options.series) session.series = series_window(config.observation);
  std::visit(
      [&](const auto& scheme) {
        using Scheme = std::decay_t<decltype(scheme)>;
        session.random_actions = std::is_same_v<Scheme, RandomActions>;
        if constexpr (std::is_same_v<Scheme, RandomActions> || std::is_same_v<Scheme, ExternalConfig>) {
          session.controller = ExternalConfig{.pacing = config.actions.pacing};
          session.limits = agent_limits(config);
        } else if constexpr (requires { Scheme::kScheme; }) {
          session.mirror = true;
          session.limits = config.transport.window;
        } else {
          session.controller = scheme;
          session.limits = config.transport.window;
        }
      },
      config.flows[options.flow].controller);
  return session;
}

Value terms_value(const RewardTerms& terms) {
  return Value(Value::Map{{"throughput", terms.throughput}, {"delay", terms.delay}, {"loss", terms.loss}});
}

Value series_value(const SessionSeries& series) {
  const std::vector<SessionPoint> points = series.points();
  return Value(Value::Map{
      {"window_ms", series.window().to_ms()},
      {"window_packets", column(points, &SessionPoint::window_packets)},
      {"sent_packets", column(points, &SessionPoint::sent_packets)},
      {"lost_packets", column(points, &SessionPoint::lost_packets)},
      {"action", column(points, &SessionPoint::action)},
      {"reward", column(points, &SessionPoint::reward)},
      {"rtt_ms", column(points, &SessionPoint::rtt_ms)},
      {"skipped", column(points, &SessionPoint::skipped)},
  });
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::optional<bool> forced_pacing(Pacing pacing) {
  if (pacing == Pacing::kAuto) return std::nullopt;
  return pacing == Pacing::kAlways;
}

std::unique_ptr<Session> make_session(const EnvironmentConfig& config, const HostedOptions& options) {
  if (options.flow >= config.flows.size()) {
    throw std::invalid_argument("flow: must be 0 to " + std::to_string(config.flows.size() - 1) + ", got " +
                                std::to_string(options.flow));
  }
  config.transport.validate();
  return std::make_unique<Session>(
      session_config(config, options), controller_rng(options.seed, options.flow),
      action_rng(options.seed, agent_number(config.flows, options.flow)), options.model, options.job);
}

Value session_report(const Session& session, const FlowConfig& flow, std::size_t index, TimePoint now) {
  const ConnectionStats& stats = session.ledger().stats();
  const LedgerCounters& counters = session.ledger().counters();
  const RttStats& rtt = session.ledger().rtt();
  const Duration active = now - session.start_time();
  const auto count = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  const double goodput =
      active > Duration::zero() ? Bandwidth::from_bytes_over(stats.bytes_acked, active).to_mbps() : 0.0;
  Value::Map map{
      {"flow", count(index)},
      {"scheme", scheme_name(flow.controller)},
      {"length_ms", active.to_ms()},
      {"loss", share(stats.packets_lost, stats.packets_lost + stats.packets_acked)},
      {"sent_packets", count(stats.packets_sent)},
      {"in_flight_packets", count(stats.packets_in_flight)},
      {"acked_packets", count(stats.packets_acked)},
      {"lost_packets", count(stats.packets_lost)},
      {"spuriously_lost_packets", count(stats.packets_spuriously_lost)},
      {"discarded_packets", session.ledger().discarded()},
      {"sent_bytes", stats.bytes_sent.value()},
      {"acked_bytes", stats.bytes_acked.value()},
      {"retransmitted_bytes", stats.bytes_retransmitted.value()},
      {"goodput_mbps", goodput},
      {"probe_timeouts", count(stats.total_pto_count)},
      {"persistent_congestion", count(stats.persistent_congestion_count)},
      {"rtt_min_ms", rtt.min().to_ms()},
      {"rtt_smoothed_ms", rtt.smoothed().to_ms()},
      {"congestion_window_bytes", session.congestion_window().value()},
      {"return", session.account().episode_return()},
      {"return_terms", terms_value(session.account().return_terms())},
      {"steps", session.account().steps()},
      {"skipped_observations", session.account().skipped()},
      {"terminated", session.step().terminated},
      {"decision_latency_p50_ms", session.latency().percentile(0.50).to_ms()},
      {"decision_latency_p99_ms", session.latency().percentile(0.99).to_ms()},
      {"unasked_answers", session.unasked_answers()},
      {"ignored_notifications", Value(Value::Map{{"unknown", counters.unknown},
                                                 {"repeated", counters.repeated},
                                                 {"misnumbered", counters.misnumbered}})},
  };
  if (const Guard* guard = session.guard()) {
    map.emplace_back("guard", to_value(report_guard(*guard, active, now, session.guard_events())));
  }
  if (session.series() != nullptr) map.emplace_back("series", series_value(*session.series()));
  return Value(std::move(map));
}

}  // namespace mvfstrl
