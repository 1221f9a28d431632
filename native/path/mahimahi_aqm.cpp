#include "path/mahimahi_aqm.h"

#include <algorithm>
#include <cmath>

namespace mvfstrl {
namespace {

constexpr std::int64_t kOpportunityBytes = 1504;
constexpr std::int64_t kPieUpdateMs = 30;
constexpr std::int64_t kMeasurementBytes = 16384;

std::int64_t whole_ms(TimePoint time) { return time.ns() / 1'000'000; }
std::int64_t whole_ms(Duration span) { return span.ns() / 1'000'000; }

double pie_step_divisor(double probability) {
  if (probability < 0.01) return 128;
  if (probability < 0.1) return 32;
  return 16;
}

}  // namespace

MahimahiCodel::MahimahiCodel(const CodelParameters& parameters)
    : target_ms_(whole_ms(parameters.target)), interval_ms_(whole_ms(parameters.interval)) {}

bool MahimahiCodel::pop_and_judge(std::int64_t now_ms, PacketBuffer& buffer, Packet& out) {
  out = buffer.pop();
  const bool last = buffer.empty();
  if (last || now_ms - whole_ms(out.entered) < target_ms_ || buffer.bytes() <= kOpportunityBytes) {
    first_above_ms_ = 0;
    return false;
  }
  if (first_above_ms_ == 0) {
    first_above_ms_ = now_ms + interval_ms_;
    return false;
  }
  return now_ms >= first_above_ms_;
}

std::int64_t MahimahiCodel::control_law(std::int64_t from_ms) const {
  return from_ms + static_cast<std::int64_t>(static_cast<double>(interval_ms_) / std::sqrt(count_));
}

bool MahimahiCodel::take(TimePoint now, PacketBuffer& buffer, Packet& out, Tally& drops) {
  if (buffer.empty()) return false;
  const std::int64_t now_ms = whole_ms(now);
  const bool head_may_drop = pop_and_judge(now_ms, buffer, out);
  Packet dropped;
  if (dropping_) {
    if (!head_may_drop) dropping_ = false;
    while (dropping_ && now_ms >= drop_next_ms_) {
      // A positive verdict means that the queue was not empty after the pop, so there is a packet to take.
      const bool may_drop = pop_and_judge(now_ms, buffer, dropped);
      drops.add(dropped.size_bytes);
      ++count_;
      if (may_drop) {
        drop_next_ms_ = control_law(drop_next_ms_);
      } else {
        dropping_ = false;
      }
    }
  } else if (head_may_drop) {
    pop_and_judge(now_ms, buffer, dropped);
    drops.add(dropped.size_bytes);
    dropping_ = true;
    const std::uint32_t reached = count_ - last_count_;
    count_ = reached > 1 && now_ms - drop_next_ms_ < 16 * interval_ms_ ? reached : 1;
    drop_next_ms_ = control_law(now_ms);
    last_count_ = count_;
  }
  return true;
}

MahimahiPie::MahimahiPie(const PieParameters& parameters, Rng rng)
    : rng_(rng),
      alpha_(parameters.alpha),
      beta_(parameters.beta),
      target_ms_(whole_ms(parameters.target)),
      max_burst_ms_(whole_ms(parameters.max_burst)) {}

bool MahimahiPie::drops_arrival(TimePoint now, const PacketBuffer& buffer) {
  catch_up(whole_ms(now), buffer);
  if (burst_allowance_ms_ > 0) return false;
  if (previous_delay_ms_ < target_ms_ / 2 && probability_ < 0.2) return false;
  if (buffer.bytes() < 2 * kOpportunityBytes) return false;
  return rng_.bernoulli(probability_);
}

void MahimahiPie::after_take(TimePoint now, const PacketBuffer& buffer, std::uint32_t size_bytes) {
  measure_departures(whole_ms(now), buffer, size_bytes);
  catch_up(whole_ms(now), buffer);
}

void MahimahiPie::measure_departures(std::int64_t now_ms, const PacketBuffer& buffer,
                                     std::uint32_t size_bytes) {
  if (!departed_bytes_ && buffer.bytes() >= kMeasurementBytes) {
    measurement_start_ms_ = now_ms;
    departed_bytes_ = 0;
  }
  if (!departed_bytes_) return;
  *departed_bytes_ += size_bytes;
  const std::int64_t elapsed_ms = now_ms - measurement_start_ms_;
  if (*departed_bytes_ <= kMeasurementBytes || elapsed_ms <= 0) return;
  const std::int64_t sample = *departed_bytes_ / elapsed_ms;
  departure_rate_ = departure_rate_ == 0 ? sample : departure_rate_ - (departure_rate_ >> 3) + (sample >> 3);
  if (buffer.bytes() < kMeasurementBytes) {
    departed_bytes_.reset();
  } else {
    departed_bytes_ = 0;
    measurement_start_ms_ = now_ms;
  }
  burst_allowance_ms_ = std::max<std::int64_t>(0, burst_allowance_ms_ - elapsed_ms);
}

void MahimahiPie::catch_up(std::int64_t now_ms, const PacketBuffer& buffer) {
  while (now_ms - last_update_ms_ > kPieUpdateMs) {
    update(buffer);
    last_update_ms_ += kPieUpdateMs;
  }
}

void MahimahiPie::update(const PacketBuffer& buffer) {
  previous_delay_ms_ = delay_ms_;
  delay_ms_ = departure_rate_ > 0 ? buffer.bytes() / departure_rate_ : 0;
  bool may_decay = !(delay_ms_ == 0 && buffer.bytes() != 0);
  const double step = alpha_ * static_cast<double>(delay_ms_ - target_ms_) +
                      beta_ * static_cast<double>(delay_ms_ - previous_delay_ms_);
  probability_ += step / pie_step_divisor(probability_);
  if (probability_ > 1) may_decay = false;
  probability_ = std::clamp(probability_, 0.0, 1.0);
  if (delay_ms_ == 0 && previous_delay_ms_ == 0 && may_decay) probability_ *= 0.98;
  burst_allowance_ms_ = std::max<std::int64_t>(0, burst_allowance_ms_ - kPieUpdateMs);
  if (probability_ == 0 && delay_ms_ < target_ms_ / 2 && previous_delay_ms_ < target_ms_ / 2 &&
      departure_rate_ > 0) {
    departed_bytes_.reset();
    departure_rate_ = 0;
    burst_allowance_ms_ = max_burst_ms_;
  }
}

}  // namespace mvfstrl
