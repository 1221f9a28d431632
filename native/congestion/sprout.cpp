#include "congestion/sprout.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mvfstrl {

Sprout::Sprout(const SproutConfig& config, const WindowLimits& limits)
    : config_(config), limits_(limits), window_(limits.initial()) {
  limits_.validate();
  if (config_.tick <= Duration::zero()) throw std::invalid_argument("tick must be positive");
  if (config_.horizon < config_.tick) throw std::invalid_argument("horizon must be at least a tick");
  if (!(config_.gain > 0 && config_.gain <= 1)) {
    throw std::invalid_argument("gain must be above 0 and at most 1");
  }
  rate_ = Bandwidth::from_bytes_over(window_, config_.horizon);
}

// Losses do not count: what is lost at random says nothing of the rate, and a full queue is one that the
// horizon is to prevent.
void Sprout::on_ack_or_loss(const AckEvent* ack, const LossEvent*, const RttStats& rtt) {
  if (ack == nullptr || ack->packets.empty()) return;
  if (!opened_) {
    start_flight(*ack);
  } else if (after_silence(*ack, rtt)) {
    end_flight();
    start_flight(*ack);
  } else {
    counted_ += ack->acked_bytes;
    if (ack->now - *opened_ >= config_.tick) close_tick(ack->now);
  }
  last_ack_ = ack->now;
  last_sent_ = ack->packets.back().sent_time;
}

// The sender paused for longer than a tick, and the packets that it resumed with found no queue to speak of:
// the link had been idle.
bool Sprout::after_silence(const AckEvent& ack, const RttStats& rtt) const {
  const bool paused = ack.packets.front().sent_time - last_sent_ > config_.tick;
  return paused && ack.rtt.has_value() && *ack.rtt - ack.ack_delay - rtt.min() < config_.tick;
}

void Sprout::start_flight(const AckEvent& ack) {
  opened_ = ack.now;
  first_tick_ = true;
  opening_ = ack.acked_bytes;
  counted_ = ByteCount::zero();
}

// A flight shorter than a tick shows what the link carries at least.
void Sprout::end_flight() {
  if (!first_tick_) return;
  const Bandwidth least =
      Bandwidth::from_bytes_over(opening_ + counted_, std::max(config_.tick, last_ack_ - *opened_));
  if (least > rate_) average(least, 1.0);
}

void Sprout::close_tick(TimePoint now) {
  const Duration elapsed = now - *opened_;
  average(Bandwidth::from_bytes_over(counted_, elapsed), elapsed / config_.tick);
  opened_ = now;
  first_tick_ = false;
  counted_ = ByteCount::zero();
}

// As many ticks of one observation: their weights add up to what one after another would give.
void Sprout::average(Bandwidth observed, double ticks) {
  const double kept = std::pow(1.0 - config_.gain, ticks);
  rate_ = Bandwidth::from_bps(observed.bps() + (rate_.bps() - observed.bps()) * kept);
  window_ = limits_.bound(rate_.bytes_in(config_.horizon));
}

}  // namespace mvfstrl
