#include "traffic/application.h"

#include <algorithm>
#include <stdexcept>

namespace mvfstrl {

Application::Application(const AppConfig& config, ByteCount packet_size, TimePoint start, Rng rng)
    : packet_size_(packet_size), next_event_(start), rng_(rng) {
  if (const auto* fixed = std::get_if<FixedSizeApp>(&config)) {
    if (fixed->bytes <= ByteCount::zero()) throw std::invalid_argument("app bytes must be positive");
    fixed_size_ = true;
    transfer_ = fixed->bytes;
  } else if (const auto* on_off = std::get_if<OnOffApp>(&config)) {
    if (on_off->on <= Duration::zero()) throw std::invalid_argument("app on time must be positive");
    if (on_off->off <= Duration::zero()) throw std::invalid_argument("app off time must be positive");
    if (on_off->rate < Bandwidth()) throw std::invalid_argument("app rate must not be negative");
    alternates_ = true;
    on_off_ = *on_off;
  }
}

void Application::step() {
  const TimePoint at = next_event_;
  if (!started_ || at == next_toggle_) {
    if (!started_) {
      begin();
    } else {
      on_ = !on_;
    }
    if (alternates_) {
      const bool rated = on_off_.rate > Bandwidth();
      unlimited_ = on_ && !rated;
      next_packet_ = on_ && rated ? at : TimePoint::never();
      next_toggle_ = at + draw(on_ ? on_off_.on : on_off_.off);
    }
  } else {
    available_ += packet_size_;
    next_packet_ += on_off_.rate.transfer_time(packet_size_);
  }
  next_event_ = std::min(next_toggle_, next_packet_);
}

void Application::begin() {
  started_ = true;
  on_ = true;
  if (fixed_size_) {
    available_ = transfer_;
  } else {
    unlimited_ = true;
  }
}

Duration Application::draw(Duration mean) {
  if (!on_off_.exponential) return mean;
  return std::max(Duration::from_ns(1), mean.scaled(rng_.exponential(1.0)));
}

}  // namespace mvfstrl
