#include "observe/window_aggregator.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <stdexcept>
#include <string>

namespace mvfstrl {
namespace {

constexpr std::size_t index(Field field) { return static_cast<std::size_t>(field); }

Duration nanoseconds(double value) { return Duration::from_ns(std::llround(value)); }

// Observation units, clipped to the field's bounds.
float shown(double raw, const FieldInfo& field) {
  return std::clamp(static_cast<float>(raw / field.norm), 0.0F, field.high);
}

}  // namespace

WindowAggregator::WindowAggregator(const ObservationConfig& config)
    : kind_(config.window_kind),
      window_(config.window),
      window_events_(static_cast<std::uint32_t>(config.window_events)) {
  if (kind_ == WindowKind::kTime && config.window <= Duration::zero()) {
    throw std::invalid_argument("observation.window_ms must be positive, got " +
                                std::to_string(config.window.to_ms()));
  }
  if (kind_ == WindowKind::kCount && config.window_events < 1) {
    throw std::invalid_argument("observation.window_events must be at least 1, got " +
                                std::to_string(config.window_events));
  }
  reset(TimePoint::zero());
}

void WindowAggregator::reset(TimePoint start) {
  open_ = Accumulator{};
  closed_ = Accumulator{};
  open_window(start);
}

void WindowAggregator::open_window(TimePoint start) {
  start_ = start;
  window_end_ = kind_ == WindowKind::kTime ? start + window_ : TimePoint::never();
  acked_ = lost_ = ByteCount::zero();
  open_.count = open_.events = 0;
}

void WindowAggregator::Accumulator::add(const NetworkSample& sample) {
  if (count++ == 0) {
    first = min = max = sample.values;
    sum.fill(0);
    square_sum.fill(0);
    return;
  }
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const float value = sample.values[i];
    const float offset = value - first[i];
    sum[i] += offset;
    square_sum[i] += offset * offset;
    min[i] = value < min[i] ? value : min[i];
    max[i] = value > max[i] ? value : max[i];
  }
}

bool WindowAggregator::add(const NetworkSample& sample, const AckEvent* ack, const LossEvent* loss) {
  open_.add(sample);
  ++open_.events;
  if (ack != nullptr) acked_ += ack->acked_bytes;
  if (loss != nullptr) lost_ += loss->lost_bytes;
  return kind_ == WindowKind::kCount && open_.events >= window_events_;
}

WindowSummary WindowAggregator::close(TimePoint now) {
  assert(!empty());
  return finish(now);
}

WindowSummary WindowAggregator::close_idle(TimePoint now, const NetworkSample& sample, Duration silence) {
  assert(empty());
  open_.add(sample);
  WindowSummary summary = finish(now);
  summary.mean_rtt = silence;
  return summary;
}

WindowSummary WindowAggregator::finish(TimePoint now) {
  const auto mean = [this](Field field) {
    return nanoseconds(open_.first[index(field)] +
                       open_.sum[index(field)] / static_cast<double>(open_.count));
  };
  WindowSummary summary;
  summary.start = start_;
  summary.end = now;
  summary.events = open_.events;
  summary.acked = acked_;
  summary.lost = lost_;
  summary.max_delay = nanoseconds(open_.max[index(Field::kDelay)]);
  summary.mean_delay = mean(Field::kDelay);
  summary.mean_rtt = mean(Field::kRttLatest);
  closed_ = open_;
  open_window(now);
  return summary;
}

void WindowAggregator::write(std::span<float> out) const {
  assert(out.size() == size());
  std::fill(out.begin(), out.end(), 0.0F);
  auto slot = out.begin();
  *slot++ = closed_.events == 0 ? 1.0F : 0.0F;
  if (closed_.count == 0) return;
  const double count = closed_.count;
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const FieldInfo& field = kFields[i];
    const double mean_offset = closed_.sum[i] / count;
    const double squares = closed_.square_sum[i] - closed_.sum[i] * mean_offset;
    const double mean = closed_.first[i] + mean_offset;
    if (field.kind == FieldKind::kCounter) *slot++ = shown(mean * count, field);
    *slot++ = shown(mean, field);
    *slot++ = closed_.count < 2 ? 0.0F : shown(std::sqrt(std::max(squares, 0.0) / (count - 1)), field);
    *slot++ = shown(closed_.min[i], field);
    *slot++ = shown(closed_.max[i], field);
  }
}

}  // namespace mvfstrl
