// Every knob of scenarios, flows and episodes, and its only default: Python reads them from here
// (config_io.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/units.h"
#include "congestion/factory.h"
#include "congestion/mirrored.h"
#include "environment/changing_path.h"
#include "environment/range.h"
#include "observe/config.h"
#include "path/config.h"
#include "policy/guard.h"
#include "traffic/config.h"
#include "transport/config.h"

namespace mvfstrl {

struct ConstantRateScenario {
  Range mbps = Range::constant(12);
};
struct PoissonRateScenario {
  Range mbps = Range::constant(12);
};
// A mahimahi trace; `from_fraction` to `to_fraction` of its period are played, round and round.
struct TraceRateScenario {
  std::string file;
  double from_fraction = 0;
  double to_fraction = 1;
  // Each episode starts at a random point of that part, the same fraction of it on both links, which keeps
  // recordings of one place and time together; else at offset_ms.
  bool random_offset = true;
  double offset_ms = 0;
};
struct CellularRateScenario {
  CellularParameters parameters;
  Range scale = Range::constant(1);
};
// Traces made by a rule instead of read from a file (path/generated_trace.h). Episodes start `start_ms` into
// them, the same place on both links.
struct ConstantTraceScenario {
  Range mbps = Range::constant(12);
  Range start_ms;
};
struct PeriodicTraceScenario {
  int opportunities = 1;
  Duration every = Duration::from_ms(1);
  Range start_ms;
};
// The links of one episode play one trace where their parameters are the same, as Pantheon's do.
struct PoissonTraceScenario {
  Range mbps = Range::constant(12);
  Duration head;  // opportunities exactly 100 ms apart until then
  Range start_ms;
  std::optional<std::int64_t> seed;  // none: every episode has gaps of its own
};
using RateScenario =
    std::variant<ConstantRateScenario, PoissonRateScenario, TraceRateScenario, CellularRateScenario,
                 ConstantTraceScenario, PeriodicTraceScenario, PoissonTraceScenario, StepsRateScenario,
                 SawtoothRateScenario, RandomWalkRateScenario, SatelliteRateScenario, WifiRateScenario>;

// Limits of the buffer; several given: the tightest holds. `bdp` counts bandwidth-delay products: the link's
// mean rate times twice the one-way delay, at least one full packet.
struct QueueScenario {
  QueueKind kind = QueueKind::kInfinite;
  std::optional<Range> packets;
  std::optional<Range> bytes;
  std::optional<Range> bdp;
  CodelParameters codel;
  PieParameters pie;
  QueueFlavour flavour = QueueFlavour::kRfc;
};

struct ScenarioConfig {
  std::string name = "default";
  double weight = 1;                               // episodes choose a scenario in proportion
  RateScenario uplink = ConstantRateScenario{};    // data
  RateScenario downlink = ConstantRateScenario{};  // ACKs
  Range delay_ms = Range::constant(20);            // one way, both directions
  // Random loss of data packets: a probability a packet, in episodes that have any.
  Range loss = Range::constant(0);
  double loss_probability = 1;  // of an episode to have loss
  DelayVariationScenario delay_variation;
  ReorderingScenario reordering;
  Range duplication;  // probability with which a data packet arrives twice
  QueueScenario queue{.kind = QueueKind::kDropTail,
                      .packets = Range::constant(100),
                      .bytes = {},
                      .bdp = {},
                      .codel = {},
                      .pie = {}};
  QueueScenario ack_queue;
  // Bytes on the link beyond the UDP payload. None: 28 (IPv4 and UDP headers), and 32 over a trace, whose
  // mahimahi counts the tunnel's four as well.
  std::optional<std::int64_t> overhead_bytes;
};

// The congestion control of a flow. `ExternalConfig` is driven by an agent's actions, `RandomActions` by
// uniformly random ones of the same set.
struct RandomActions {
  bool pacing = false;  // as ExternalConfig: set from the action set
};

// One of mvfst's own controllers, which has no knobs. No other transport has it, nor has virtual time.
template <MvfstScheme kWhich>
struct MvfstOwn {
  static constexpr MvfstScheme kScheme = kWhich;
};

template <class... Controllers>
auto with_others(const std::variant<Controllers...>&)
    -> std::variant<Controllers..., RandomActions, MvfstOwn<MvfstScheme::kNewReno>,
                    MvfstOwn<MvfstScheme::kCubic>, MvfstOwn<MvfstScheme::kCopa>, MvfstOwn<MvfstScheme::kBbr>,
                    MvfstOwn<MvfstScheme::kBbr2>>;
using SchemeConfig = decltype(with_others(std::declval<ControllerConfig>()));

// What configurations and reports call the schemes.
inline constexpr auto kSchemeKinds = [] {
  constexpr std::size_t kRandom = kControllerNames.size();
  static_assert(std::variant_size_v<SchemeConfig> == kRandom + 1 + kMvfstSchemeNames.size());
  std::array<const char*, std::variant_size_v<SchemeConfig>> names{};
  for (std::size_t i = 0; i < kRandom; ++i) names[i] = kControllerNames[i];
  names[kRandom] = "random";
  for (std::size_t i = 0; i < kMvfstSchemeNames.size(); ++i) names[kRandom + 1 + i] = kMvfstSchemeNames[i];
  return names;
}();

inline const char* scheme_name(const SchemeConfig& scheme) { return kSchemeKinds[scheme.index()]; }
// None for one of ours.
std::optional<MvfstScheme> mvfst_scheme(const SchemeConfig& scheme);
// Throws std::invalid_argument naming flow number `index` if its scheme is one of mvfst's own.
void refuse_mvfst_scheme(const SchemeConfig& scheme, std::size_t index);
// What drives such a flow in virtual time. Throws std::invalid_argument for one of mvfst's own.
ControllerConfig virtual_controller(const SchemeConfig& scheme);

struct FlowConfig {
  SchemeConfig controller = ExternalConfig{};
  Duration start;                // from the episode's start
  std::optional<Duration> stop;  // sends nothing from then on
  // One-way propagation delay of this flow's own, before the shared link on the way there and after it on the
  // way back.
  std::optional<Duration> delay;
  AppConfig app = BulkApp{};
  // What stands beside the policy that drives the flow (environment/local_evaluation.h); nothing to others.
  std::optional<GuardConfig> guard;
};

// Traffic on the data link beside the flows.
struct TrafficSpan {
  Bandwidth rate = Bandwidth::from_mbps(3);
  Duration start;
  std::optional<Duration> stop;  // nothing begins from then on
};
// Full packets at even distances that nobody acknowledges, whatever becomes of them; the rate counts bytes on
// the link.
struct ConstantTraffic : TrafficSpan {};
// The same in bursts; the rate is that within a burst.
struct OnOffTraffic : TrafficSpan {
  Duration on = Duration::from_ms(1000);  // mean where exponential, else the length
  Duration off = Duration::from_ms(1000);
  bool exponential = true;
};
// Transfers that begin as a Poisson process, each a connection of its own; the rate is the mean of the bytes
// that they bring, UDP payload.
enum class SizeDistribution { kFixed, kExponential, kPareto };
struct ShortFlows : TrafficSpan {
  SizeDistribution size = SizeDistribution::kExponential;
  ByteCount mean_size{100'000};
  double pareto_shape = 1.2;    // above 1; web transfers: 1.0 to 1.3 (Crovella and Bestavros 1997)
  std::int64_t max_flows = 64;  // under way at once; a transfer that comes to so many is turned away
  SchemeConfig controller = CubicConfig{};
};
using CrossTrafficConfig = std::variant<ConstantTraffic, OnOffTraffic, ShortFlows>;
inline constexpr std::array<const char*, 3> kTrafficKinds = {"constant", "on_off", "poisson_flows"};

// How long the answer to an observation takes.
struct ConstantDelay {
  Duration delay = Duration::from_ms(5);
};
struct UniformDelay {
  Duration low = Duration::from_ms(2);
  Duration high = Duration::from_ms(10);
};
struct EmpiricalDelay {
  std::vector<Duration> samples = {Duration::from_ms(5)};  // drawn with equal chances
};
using ActionDelayConfig = std::variant<ConstantDelay, UniformDelay, EmpiricalDelay>;

struct EnvironmentConfig {
  std::vector<ScenarioConfig> scenarios = {ScenarioConfig{}};
  std::vector<FlowConfig> flows = {FlowConfig{}};  // flow 0 is always observed, others where they are agents
  std::vector<CrossTrafficConfig> cross_traffic;
  TransportConfig transport;
  ObservationConfig observation;
  ActionConfig actions;
  RewardConfig reward = LogRatioReward{};
  ActionDelayConfig action_delay = ConstantDelay{};
  Duration episode = Duration::from_ms(30'000);
};

}  // namespace mvfstrl
