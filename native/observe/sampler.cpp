#include "observe/sampler.h"

#include <algorithm>
#include <cassert>

namespace mvfstrl {
namespace {

float raw(Duration duration) { return static_cast<float>(duration.ns()); }
float raw(ByteCount bytes) { return static_cast<float>(bytes.value()); }
float raw(std::uint64_t count) { return static_cast<float>(static_cast<std::int64_t>(count)); }

// How far `total` has grown beyond `previous`, which then follows it.
template <class Count>
float growth(Count total, Count& previous) {
  const float grown = raw(total - previous);
  previous = total;
  return grown;
}

}  // namespace

void Sampler::reset(TimePoint start) {
  previous_ = Totals{};
  last_ack_ = start;
  standing_rtt_.reset();
  rate_.reset(start);
}

NetworkSample Sampler::on_event(TimePoint now, const AckEvent* ack, const LossEvent* loss,
                                const RttStats& rtt, const ConnectionStats& stats) {
  assert(ack != nullptr || loss != nullptr);
  NetworkSample sample;
  if (ack != nullptr) {
    last_ack_ = now;
    if (ack->rtt) standing_rtt_.update(now, rtt.latest(), rtt.smoothed() / 2);
    sample[Field::kAcked] = raw(ack->acked_bytes);
  }
  if (loss != nullptr) {
    sample[Field::kLost] = raw(loss->lost_bytes);
    sample[Field::kPersistentCongestion] = loss->persistent ? 1.0F : 0.0F;
  }
  fill_levels(sample, rtt, stats);
  fill_counters(sample, stats);
  sample[Field::kDelay] = raw(rtt.latest() - rtt.min());
  sample[Field::kThroughput] =
      static_cast<float>(rate_.update(now, ack != nullptr ? ack->acked_bytes : ByteCount::zero()));
  return sample;
}

NetworkSample Sampler::idle(TimePoint now, const RttStats& rtt, const ConnectionStats& stats) {
  NetworkSample sample;
  fill_levels(sample, rtt, stats);
  fill_counters(sample, stats);
  sample[Field::kDelay] = raw(std::max(since_last_ack(now) - rtt.min(), Duration::zero()));
  return sample;
}

inline void Sampler::fill_levels(NetworkSample& sample, const RttStats& rtt,
                                 const ConnectionStats& stats) const {
  sample[Field::kRttMin] = raw(rtt.min());
  sample[Field::kRttStanding] = raw(standing_rtt_.best());
  sample[Field::kRttLatest] = raw(rtt.latest());
  sample[Field::kRttSmoothed] = raw(rtt.smoothed());
  sample[Field::kRttVariation] = raw(rtt.variation());
  sample[Field::kCwnd] = raw(stats.congestion_window);
  sample[Field::kInFlight] = raw(stats.bytes_in_flight);
  sample[Field::kWritable] = raw(stats.writable);
}

inline void Sampler::fill_counters(NetworkSample& sample, const ConnectionStats& stats) {
  sample[Field::kSent] = growth(stats.bytes_sent, previous_.sent);
  sample[Field::kReceived] = growth(stats.bytes_received, previous_.received);
  sample[Field::kRetransmitted] = growth(stats.bytes_retransmitted, previous_.retransmitted);
  sample[Field::kPtoCount] = static_cast<float>(stats.pto_count);
  sample[Field::kPtoDelta] = growth(stats.total_pto_count, previous_.pto);
  sample[Field::kRtxCount] = growth(stats.rtx_count, previous_.rtx);
  sample[Field::kTimeoutRtxCount] = growth(stats.timeout_based_rtx_count, previous_.timeout_rtx);
}

}  // namespace mvfstrl
