#include "path/pie.h"

#include <algorithm>

namespace mvfstrl {
namespace {

constexpr std::int64_t kMeanPacketBytes = 1500;  // MEAN_PKTSIZE
constexpr double kAccumulatedLow = 0.85;         // section 5.4: no drop below,
constexpr double kAccumulatedHigh = 8.5;         // a certain drop above

// Section 4.2: the smaller the probability, the smaller its steps, for stability.
double step_scale(double probability) {
  if (probability < 0.000001) return 1.0 / 2048;
  if (probability < 0.00001) return 1.0 / 512;
  if (probability < 0.0001) return 1.0 / 128;
  if (probability < 0.001) return 1.0 / 32;
  if (probability < 0.01) return 1.0 / 8;
  if (probability < 0.1) return 1.0 / 2;
  return 1.0;
}

}  // namespace

Pie::Pie(const PieParameters& parameters, Rng rng)
    : parameters_(parameters),
      rng_(rng),
      next_update_(TimePoint::zero() + parameters.update_interval),
      burst_allowance_(parameters.max_burst) {}

bool Pie::drops_arrival(TimePoint now, const PacketBuffer& buffer) {
  catch_up(now, buffer);
  if (burst_allowance_ > Duration::zero()) return false;
  // Section 4.1: stay work conserving while delay and probability are small or the queue is nearly empty.
  if (previous_delay_ < parameters_.target / 2 && probability_ < 0.2) return false;
  if (buffer.bytes() <= 2 * kMeanPacketBytes) return false;
  if (probability_ == 0) {
    accumulated_ = 0;
    return false;
  }
  accumulated_ += probability_;
  if (accumulated_ < kAccumulatedLow) return false;
  if (accumulated_ < kAccumulatedHigh && !rng_.bernoulli(probability_)) return false;
  accumulated_ = 0;
  return true;
}

void Pie::catch_up(TimePoint now, const PacketBuffer& buffer) {
  while (next_update_ <= now) {
    update(buffer);
    next_update_ += parameters_.update_interval;
  }
}

void Pie::update(const PacketBuffer& buffer) {
  if (buffer.empty()) delay_ = Duration::zero();
  double step = parameters_.alpha * (delay_ - parameters_.target).to_seconds() +
                parameters_.beta * (delay_ - previous_delay_).to_seconds();
  step *= step_scale(probability_);
  if (probability_ >= 0.1 && step > 0.02) step = 0.02;  // section 5.5
  probability_ += step;
  // Section 4.2: decay once congestion is over.
  if (delay_.is_zero() && previous_delay_.is_zero()) probability_ *= 0.98;
  probability_ = std::clamp(probability_, 0.0, 1.0);
  burst_allowance_ = std::max(Duration::zero(), burst_allowance_ - parameters_.update_interval);
  const Duration half_target = parameters_.target / 2;
  if (probability_ == 0 && delay_ < half_target && previous_delay_ < half_target) {
    burst_allowance_ = parameters_.max_burst;
  }
  previous_delay_ = delay_;
}

}  // namespace mvfstrl
