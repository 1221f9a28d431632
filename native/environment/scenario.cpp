#include "environment/scenario.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <type_traits>

#include "path/generated_trace.h"
#include "path/opportunities.h"

namespace mvfstrl {
namespace {

enum Draw : std::uint64_t {
  kScenario = 1,
  kUplink,
  kDownlink,
  kPlace,
  kDelay,
  kHasLoss,
  kLoss,
  kQueue,
  kAckQueue,
  kDelayVariation,
  kReordering,
  kDuplication,
};
enum QueueDraw : std::uint64_t { kPackets = 1, kBytes, kBdp };
enum PlaceDraw : std::uint64_t { kGaps = 1, kStart };

constexpr std::int64_t kHeaderBytes = 28;       // IPv4 20, UDP 8
constexpr std::int64_t kTunnelHeaderBytes = 4;  // what mahimahi's tunnel adds

double sample(const Range& range, Rng rng) { return range.sample(rng); }

template <class T>
constexpr bool kIsTrace = std::is_same_v<T, TraceRateScenario> || std::is_same_v<T, ConstantTraceScenario> ||
                          std::is_same_v<T, PeriodicTraceScenario> || std::is_same_v<T, PoissonTraceScenario>;

bool is_trace(const RateScenario& rate) {
  return std::visit([]<class T>(const T&) { return kIsTrace<T>; }, rate);
}

// Plays a whole trace from a place drawn from `start_ms`.
TraceRate played_from(std::shared_ptr<const Trace> trace, const Range& start_ms, Rng place) {
  return TraceRate{.trace = std::move(trace),
                   .offset = Duration::from_ms_f(sample(start_ms, place.fork(kStart)))};
}

std::int64_t overhead_of(const ScenarioConfig& scenario) {
  if (scenario.overhead_bytes) return *scenario.overhead_bytes;
  return kHeaderBytes + (is_trace(scenario.uplink) ? kTunnelHeaderBytes : 0);
}

Bandwidth mean_trace_rate(const TraceRate& rate) {
  const auto& times = rate.trace->timestamps_ms();
  const double period = rate.trace->period_ms();
  const double from = rate.from_fraction * period;
  const double to = rate.to_fraction * period;
  const auto opportunities =
      std::lower_bound(times.begin(), times.end(), to) - std::lower_bound(times.begin(), times.end(), from);
  return Bandwidth::from_bytes_over(ByteCount(opportunities * kTraceOpportunityBytes),
                                    Duration::from_ms_f(to - from));
}

}  // namespace

Bandwidth mean_rate(const RateConfig& rate) {
  if (const auto* constant = std::get_if<ConstantRate>(&rate)) return constant->rate;
  if (const auto* poisson = std::get_if<PoissonRate>(&rate)) return poisson->rate;
  if (const auto* trace = std::get_if<TraceRate>(&rate)) return mean_trace_rate(*trace);
  if (const auto* cellular = std::get_if<CellularRate>(&rate)) {
    return cellular->parameters.level * cellular->scale;
  }
  return std::visit(
      []<class T>(const T& changing) -> Bandwidth {
        if constexpr (requires { mean_changing(changing); }) return mean_changing(changing);
        throw std::logic_error("a rate whose mean is neither given above nor changing");
      },
      rate);
}

Duration lone_packet_time(const RateConfig& rate, ByteCount bytes) {
  // Rule of mahimahi's link: an opportunity never serves a packet that came in its own millisecond.
  if (std::holds_alternative<TraceRate>(rate)) return Duration::from_ms(1);
  return mean_rate(rate).transfer_time(bytes);
}

ScenarioDistribution::ScenarioDistribution(const std::vector<ScenarioConfig>& scenarios,
                                           ByteCount full_packet)
    : scenarios_(scenarios), full_packet_(full_packet) {
  for (std::size_t i = 0; i < scenarios_.size(); ++i) {
    total_weight_ += scenarios_[i].weight;
    try {
      load_traces(scenarios_[i].uplink);
      load_traces(scenarios_[i].downlink);
      const EpisodePath path = sample(0, static_cast<std::int32_t>(i));
      validate(path.uplink);
      validate(path.downlink);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("scenarios[" + std::to_string(i) + "] (" + scenarios_[i].name +
                                  "): " + error.what());
    }
  }
}

void ScenarioDistribution::load_traces(const RateScenario& rate) {
  if (const auto* constant = std::get_if<ConstantTraceScenario>(&rate);
      constant != nullptr && constant->mbps.low == constant->mbps.high) {
    auto& slot = constant_traces_[constant->mbps.low];
    if (!slot) slot = constant_trace(Bandwidth::from_mbps(constant->mbps.low));
  }
  const auto* trace = std::get_if<TraceRateScenario>(&rate);
  if (trace == nullptr) return;
  if (trace->file.empty()) throw std::invalid_argument("a trace needs a file");
  auto& slot = traces_[trace->file];
  if (!slot) slot = Trace::load(trace->file);
}

std::int32_t ScenarioDistribution::choose(Rng rng) const {
  double left = rng.uniform() * total_weight_;
  std::int32_t chosen = 0;
  for (std::size_t i = 0; i < scenarios_.size(); ++i) {
    if (scenarios_[i].weight <= 0) continue;
    chosen = static_cast<std::int32_t>(i);  // the last one stands where rounding leaves a rest
    left -= scenarios_[i].weight;
    if (left < 0) break;
  }
  return chosen;
}

EpisodePath ScenarioDistribution::sample(std::uint64_t episode_seed,
                                         std::optional<std::int32_t> scenario) const {
  const Rng rng(episode_seed);
  EpisodePath path;
  path.scenario = scenario ? *scenario : choose(rng.fork(kScenario));
  const ScenarioConfig& config = scenarios_.at(static_cast<std::size_t>(path.scenario));

  path.uplink.rate = sample_rate(config.uplink, rng.fork(kUplink), rng.fork(kPlace));
  path.downlink.rate = sample_rate(config.downlink, rng.fork(kDownlink), rng.fork(kPlace));
  path.uplink.delay = Duration::from_ms_f(mvfstrl::sample(config.delay_ms, rng.fork(kDelay)));
  path.downlink.delay = path.uplink.delay;
  if (rng.fork(kHasLoss).bernoulli(config.loss_probability)) {
    path.uplink.loss = mvfstrl::sample(config.loss, rng.fork(kLoss));
  }
  path.uplink.delay_variation =
      sample_changing(config.delay_variation, rng.fork(kDelayVariation), rng.fork(kPlace));
  path.downlink.delay_variation = path.uplink.delay_variation;
  path.uplink.reordering = sample_changing(config.reordering, rng.fork(kReordering));
  path.uplink.duplication = mvfstrl::sample(config.duplication, rng.fork(kDuplication));
  path.overhead_bytes = overhead_of(config);
  const std::int64_t packet = full_packet_.value() + path.overhead_bytes;
  path.uplink.queue =
      sample_queue(config.queue, path.uplink.rate, path.uplink.delay, packet, rng.fork(kQueue));
  path.downlink.queue =
      sample_queue(config.ack_queue, path.downlink.rate, path.uplink.delay, packet, rng.fork(kAckQueue));
  return path;
}

RateConfig ScenarioDistribution::sample_rate(const RateScenario& rate, Rng rng, Rng place) const {
  if (const auto* constant = std::get_if<ConstantRateScenario>(&rate)) {
    return ConstantRate{Bandwidth::from_mbps(constant->mbps.sample(rng))};
  }
  if (const auto* poisson = std::get_if<PoissonRateScenario>(&rate)) {
    return PoissonRate{Bandwidth::from_mbps(poisson->mbps.sample(rng))};
  }
  if (const auto* cellular = std::get_if<CellularRateScenario>(&rate)) {
    return CellularRate{cellular->parameters, cellular->scale.sample(rng)};
  }
  return std::visit(
      [&]<class T>(const T& trace) -> RateConfig {
        if constexpr (kIsTrace<T>) return sample_trace(trace, rng, place);
        if constexpr (requires { sample_changing(trace, rng, place); }) {
          return sample_changing(trace, rng, place);
        }
        throw std::logic_error("a rate that is neither sampled above, nor a trace, nor changing");
      },
      rate);
}

TraceRate ScenarioDistribution::sample_trace(const TraceRateScenario& rate, Rng, Rng place) const {
  TraceRate played{traces_.at(rate.file), rate.from_fraction, rate.to_fraction, Duration::zero()};
  const double part_ms = (rate.to_fraction - rate.from_fraction) * played.trace->period_ms();
  played.offset = Duration::from_ms_f(rate.random_offset ? place.uniform() * part_ms : rate.offset_ms);
  return played;
}

TraceRate ScenarioDistribution::sample_trace(const ConstantTraceScenario& rate, Rng rng, Rng place) const {
  const double mbps = rate.mbps.sample(rng);
  const auto known = constant_traces_.find(mbps);
  return played_from(
      known != constant_traces_.end() ? known->second : constant_trace(Bandwidth::from_mbps(mbps)),
      rate.start_ms, place);
}

TraceRate ScenarioDistribution::sample_trace(const PeriodicTraceScenario& rate, Rng, Rng place) const {
  return played_from(periodic_trace(rate.opportunities, rate.every), rate.start_ms, place);
}

TraceRate ScenarioDistribution::sample_trace(const PoissonTraceScenario& rate, Rng rng, Rng place) const {
  const PoissonTrace parameters{.rate = Bandwidth::from_mbps(rate.mbps.sample(rng)), .head = rate.head};
  const Rng gaps = rate.seed ? Rng(static_cast<std::uint64_t>(*rate.seed)) : place.fork(kGaps);
  return played_from(poisson_trace(parameters, gaps), rate.start_ms, place);
}

QueueConfig ScenarioDistribution::sample_queue(const QueueScenario& queue, const RateConfig& rate,
                                               Duration one_way, std::int64_t packet_bytes, Rng rng) const {
  QueueConfig sampled{.kind = queue.kind,
                      .packets = {},
                      .bytes = {},
                      .codel = queue.codel,
                      .pie = queue.pie,
                      .flavour = queue.flavour};
  if (queue.packets) sampled.packets = std::llround(mvfstrl::sample(*queue.packets, rng.fork(kPackets)));
  if (queue.bytes) sampled.bytes = std::llround(mvfstrl::sample(*queue.bytes, rng.fork(kBytes)));
  if (queue.bdp) {
    const ByteCount bdp = mean_rate(rate).bytes_in(one_way * 2);
    const double products = mvfstrl::sample(*queue.bdp, rng.fork(kBdp));
    const auto bytes = std::llround(products * static_cast<double>(bdp.value()));
    sampled.bytes = std::min(sampled.bytes.value_or(std::numeric_limits<std::int64_t>::max()),
                             std::max<std::int64_t>(bytes, packet_bytes));
  }
  return sampled;
}

}  // namespace mvfstrl
