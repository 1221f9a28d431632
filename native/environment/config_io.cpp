#include "environment/config_io.h"

#include <set>
#include <string>

#include "environment/scenario_fields.h"
#include "environment/scheme_fields.h"

namespace mvfstrl {
namespace {

constexpr EnumName<Pacing> kPacings[] = {
    {Pacing::kAuto, "auto"}, {Pacing::kAlways, "always"}, {Pacing::kNever, "never"}};
constexpr EnumName<WindowKind> kWindowKinds[] = {{WindowKind::kTime, "time"}, {WindowKind::kCount, "count"}};

constexpr std::array<const char*, 3> kAppKinds = {"bulk", "fixed_size", "on_off"};
constexpr std::array<const char*, 5> kRewardKinds = {"log_ratio", "linear", "power", "aurora", "log_power"};
constexpr EnumName<SizeDistribution> kSizeDistributions[] = {{SizeDistribution::kFixed, "fixed"},
                                                             {SizeDistribution::kExponential, "exponential"},
                                                             {SizeDistribution::kPareto, "pareto"}};
constexpr std::array<const char*, 3> kActionDelayKinds = {"constant", "uniform", "empirical"};
// An application that has a packet every nanosecond leaves no time for anything else.
constexpr Check kAppMbps{.low = 0.0, .high = 1e5, .text = "between 0 and 100000"};

}  // namespace

// --- flows ---

template <class V>
void visit_fields(V&, BulkApp&) {}
template <class V>
void visit_fields(V& v, FixedSizeApp& a) {
  v.knob("size_bytes", a.bytes, kPositive);
}
template <class V>
void visit_fields(V& v, OnOffApp& a) {
  v.knob("on_ms", a.on, kPositive);
  v.knob("off_ms", a.off, kPositive);
  v.knob("exponential", a.exponential);
  v.knob("rate_mbps", a.rate, kAppMbps);
}
template <class V>
void visit_fields(V& v, AppConfig& a) {
  v.alternatives("kind", a, kAppKinds);
}
template <class V>
void visit_fields(V& v, FlowConfig& f) {
  v.field("controller", f.controller);
  v.field("start_ms", f.start, kNonNegative);
  v.field("stop_ms", f.stop, kPositive);
  v.field("delay_ms", f.delay, kNonNegative);
  v.field("app", f.app);
}
static void validate(const FlowConfig& f, const std::string& path) {
  if (f.stop && *f.stop <= f.start) throw ConfigError(path + ".stop_ms", "must be after start_ms");
}

template <class V>
void visit_fields(V& v, TrafficSpan& t) {
  v.field("mbps", t.rate, kPositive);
  v.field("start_ms", t.start, kNonNegative);
  v.field("stop_ms", t.stop, kPositive);
}
template <class V>
void visit_fields(V& v, ConstantTraffic& t) {
  visit_fields(v, static_cast<TrafficSpan&>(t));
}
template <class V>
void visit_fields(V& v, OnOffTraffic& t) {
  visit_fields(v, static_cast<TrafficSpan&>(t));
  v.field("on_ms", t.on, kPositive);
  v.field("off_ms", t.off, kPositive);
  v.field("exponential", t.exponential);
}
template <class V>
void visit_fields(V& v, ShortFlows& t) {
  visit_fields(v, static_cast<TrafficSpan&>(t));
  v.choice("size", t.size, kSizeDistributions);
  v.field("mean_bytes", t.mean_size, kPositive);
  v.field("pareto_shape", t.pareto_shape, kPositive);
  v.field("max_flows", t.max_flows, kAtLeastOne);
  v.field("controller", t.controller);
}
template <class V>
void visit_fields(V& v, CrossTrafficConfig& t) {
  v.alternatives("kind", t, kTrafficKinds);
}
static void validate(const CrossTrafficConfig& config, const std::string& path) {
  const auto& span = std::visit([](const auto& traffic) -> const TrafficSpan& { return traffic; }, config);
  if (span.stop && *span.stop <= span.start) throw ConfigError(path + ".stop_ms", "must be after start_ms");
  const auto* transfers = std::get_if<ShortFlows>(&config);
  if (transfers == nullptr) return;
  if (transfers->pareto_shape <= 1) throw ConfigError(path + ".pareto_shape", "must be above 1");
  const SchemeConfig& scheme = transfers->controller;
  if (std::holds_alternative<ExternalConfig>(scheme) || std::holds_alternative<RandomActions>(scheme) ||
      mvfst_scheme(scheme)) {
    throw ConfigError(path + ".controller.kind", "must be a classic controller");
  }
}

// --- transport ---

template <class V>
void visit_fields(V& v, WindowLimits& w) {
  v.knob("packet_size_bytes", w.packet_size, kPositive);
  v.knob("initial_packets", w.initial_packets, kAtLeastOne);
  v.knob("minimum_packets", w.minimum_packets, kAtLeastOne);
  v.knob("maximum_packets", w.maximum_packets, kAtLeastOne);
}
template <class V>
void visit_fields(V& v, TransportConfig& t) {
  v.knob("window", t.window);
  v.knob("ack_threshold", t.ack_threshold, kAtLeastOne);
  v.knob("ack_reordering", t.ack_reordering, kNonNegative);
  v.knob("ack_timer_factor", t.ack_timer_factor, kPositive);
  v.knob("max_ack_delay_ms", t.max_ack_delay, kNonNegative);
  v.knob("ack_timer_tick_ms", t.ack_timer_tick, kPositive);
  v.knob("ack_delay_exponent", t.ack_delay_exponent, kNonNegative);
  v.knob("ack_padding_bytes", t.ack_padding_bytes, kNonNegative);
  v.knob("max_ack_ranges", t.max_ack_ranges, kAtLeastOne);
  v.knob("initial_rtt_ms", t.initial_rtt, kPositive);
  v.knob("loss_timer_tick_ms", t.loss_timer_tick, kPositive);
  v.knob("packet_threshold", t.packet_threshold, kAtLeastOne);
  v.knob("time_threshold_dividend", t.time_threshold_dividend, kAtLeastOne);
  v.knob("time_threshold_divisor", t.time_threshold_divisor, kAtLeastOne);
  v.knob("pto_probes", t.pto_probes, kAtLeastOne);
  v.knob("persistent_congestion_threshold", t.persistent_congestion_threshold, kAtLeastOne);
  v.knob("handshake_packets", t.handshake_packets, kNonNegative);
  v.knob("handshake_last_packet_bytes", t.handshake_last_packet, kNonNegative);
  v.knob("handshake_done_bytes", t.handshake_done, kNonNegative);
  v.knob("handshake_processing_ms", t.handshake_processing, kNonNegative);
  v.knob("send_time_ms", t.send_time, kNonNegative);
  v.choice_knob("pacing", t.pacing, kPacings);
  v.knob("pacing_tick_ms", t.pacing_tick, kPositive);
  v.knob("pacing_timer_tick_ms", t.pacing_timer_tick, kNonNegative);
  v.knob("pacing_min_burst", t.pacing_min_burst, kAtLeastOne);
  v.knob("pacing_max_late_bursts", t.pacing_max_late_bursts, kAtLeastOne);
}

// --- the RL view ---

template <class V>
void visit_fields(V& v, ObservationConfig& o) {
  v.choice("window_kind", o.window_kind, kWindowKinds);
  v.field("window_ms", o.window, kPositive);
  v.field("window_events", o.window_events, kAtLeastOne);
  v.field("history", o.history, kAtLeastOne);
}
template <class V>
void visit_fields(V& v, ActionConfig& a) {
  v.field("list", a.list);
  v.field("initial_window_packets", a.initial_window_packets, kAtLeastOne);
  v.field("min_window_packets", a.min_window_packets, kAtLeastOne);
  v.field("max_window_packets", a.max_window_packets, kAtLeastOne);
  v.field("pacing", a.pacing);
}
template <class V>
void visit_fields(V& v, LogRatioReward& r) {
  v.knob("throughput_factor", r.throughput_factor);
  v.knob("throughput_offset", r.throughput_offset, kPositive);
  v.knob("delay_factor", r.delay_factor);
  v.knob("delay_offset", r.delay_offset, kPositive);
  v.knob("loss_factor", r.loss_factor);
  v.knob("loss_offset", r.loss_offset, kPositive);
  v.knob("use_max_delay", r.use_max_delay);
}
template <class V>
void visit_fields(V& v, LinearReward& r) {
  v.knob("throughput_factor", r.throughput_factor);
  v.knob("delay_factor", r.delay_factor);
  v.knob("loss_factor", r.loss_factor);
  v.knob("use_max_delay", r.use_max_delay);
}
template <class V>
void visit_fields(V& v, PowerReward& r) {
  v.knob("throughput_exponent", r.throughput_exponent, kPositive);
  v.knob("scale", r.scale);
}
template <class V>
void visit_fields(V& v, AuroraReward& r) {
  v.knob("throughput_factor", r.throughput_factor);
  v.knob("latency_factor", r.latency_factor);
  v.knob("loss_factor", r.loss_factor);
  v.knob("packet_bytes", r.packet_bytes, kAtLeastOne);
}
template <class V>
void visit_fields(V& v, LogPowerReward& r) {
  v.knob("throughput_factor", r.throughput_factor);
  v.knob("throughput_offset", r.throughput_offset, kPositive);
  v.knob("rtt_factor", r.rtt_factor);
  v.knob("loss_factor", r.loss_factor);
}
template <class V>
void visit_fields(V& v, RewardConfig& r) {
  v.alternatives("kind", r, kRewardKinds);
}

template <class V>
void visit_fields(V& v, ConstantDelay& d) {
  v.field("ms", d.delay, kNonNegative);
}
template <class V>
void visit_fields(V& v, UniformDelay& d) {
  v.field("low_ms", d.low, kNonNegative);
  v.field("high_ms", d.high, kNonNegative);
}
template <class V>
void visit_fields(V& v, EmpiricalDelay& d) {
  v.field("samples_ms", d.samples, kNonNegative);
}
template <class V>
void visit_fields(V& v, ActionDelayConfig& d) {
  v.alternatives("kind", d, kActionDelayKinds);
}
static void validate(const ActionDelayConfig& d, const std::string& path) {
  if (const auto* uniform = std::get_if<UniformDelay>(&d); uniform && uniform->high < uniform->low) {
    throw ConfigError(path + ".high_ms", "must not be below low_ms");
  }
  if (const auto* empirical = std::get_if<EmpiricalDelay>(&d); empirical && empirical->samples.empty()) {
    throw ConfigError(path + ".samples_ms", "must not be empty");
  }
}

template <class V>
void visit_fields(V& v, EnvironmentConfig& c) {
  v.field("scenarios", c.scenarios);
  v.field("flows", c.flows);
  v.field("cross_traffic", c.cross_traffic);
  v.field("transport", c.transport);
  v.field("observation", c.observation);
  v.field("actions", c.actions);
  v.field("reward", c.reward);
  v.field("action_delay", c.action_delay);
  v.field("episode_ms", c.episode, kPositive);
}

// What no single field can tell.
static void check_scenarios(const EnvironmentConfig& config) {
  if (config.scenarios.empty()) throw ConfigError("scenarios", "must not be empty");
  std::set<std::string> names;
  double weights = 0;
  for (std::size_t i = 0; i < config.scenarios.size(); ++i) {
    const ScenarioConfig& scenario = config.scenarios[i];
    const std::string path = "scenarios[" + std::to_string(i) + "]";
    if (scenario.name.empty()) throw ConfigError(path + ".name", "must not be empty");
    if (!names.insert(scenario.name).second) {
      throw ConfigError(path + ".name", "'" + scenario.name + "' is the name of an earlier scenario");
    }
    weights += scenario.weight;
  }
  if (weights <= 0) throw ConfigError("scenarios", "need one with a weight above zero");
}

static void check_flows(const EnvironmentConfig& config) {
  if (config.flows.empty()) throw ConfigError("flows", "must not be empty");
}

namespace {

template <class Variant, std::size_t... I>
Value alternatives_of(const std::array<const char*, sizeof...(I)>& names, std::index_sequence<I...>) {
  Value::Map map;
  (map.emplace_back(names[I], ConfigWriter::write(Variant(std::in_place_index<I>))), ...);
  return Value(std::move(map));
}
template <class Variant>
Value alternatives_of(const std::array<const char*, std::variant_size_v<Variant>>& names) {
  return alternatives_of<Variant>(names, std::make_index_sequence<std::variant_size_v<Variant>>{});
}

}  // namespace

Value default_config() { return ConfigWriter::write(EnvironmentConfig{}); }

Value default_alternatives() {
  return Value(Value::Map{{"rate", alternatives_of<RateScenario>(kRateKinds)},
                          {"controller", alternatives_of<SchemeConfig>(kSchemeKinds)},
                          {"app", alternatives_of<AppConfig>(kAppKinds)},
                          {"cross_traffic", alternatives_of<CrossTrafficConfig>(kTrafficKinds)},
                          {"reward", alternatives_of<RewardConfig>(kRewardKinds)},
                          {"action_delay", alternatives_of<ActionDelayConfig>(kActionDelayKinds)}});
}

EnvironmentConfig parse_config(const Value& value) {
  auto config = ConfigReader::read<EnvironmentConfig>(value);
  check_scenarios(config);
  check_flows(config);
  return config;
}

}  // namespace mvfstrl
