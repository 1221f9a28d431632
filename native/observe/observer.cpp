#include "observe/observer.h"

#include <cassert>

namespace mvfstrl {

Observer::Observer(const ObservationConfig& observation, std::size_t num_actions)
    : aggregator_(observation), history_(observation.history, num_actions) {
  reset(TimePoint::zero(), ByteCount::zero());
}

void Observer::reset(TimePoint start, ByteCount initial_window) {
  sampler_.reset(start);
  aggregator_.reset(start);
  history_.reset(initial_window);
}

bool Observer::on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss, const RttStats& rtt,
                        const ConnectionStats& stats) {
  return aggregator_.add(sampler_.on_event(now, ack, loss, rtt, stats), ack, loss);
}

WindowSummary Observer::close_window(TimePoint now, const RttStats& rtt, const ConnectionStats& stats) {
  if (!aggregator_.empty()) return aggregator_.close(now);
  return aggregator_.close_idle(now, sampler_.idle(now, rtt, stats), sampler_.since_last_ack(now));
}

void Observer::write_observation(std::span<float> out) const {
  assert(out.size() == size());
  aggregator_.write(out.first(aggregator_.size()));
  history_.write(out.subspan(aggregator_.size()));
}

}  // namespace mvfstrl
