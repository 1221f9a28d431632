// Round-trip time statistics of a connection (RFC 9002 section 5). Owned by the transport; controllers and
// observers hold it const.
#pragma once

#include <algorithm>

#include "common/units.h"

namespace mvfstrl {

class RttStats {
 public:
  // Records one sample: `latest` as measured, `ack_delay` as the peer reported it. RFC 9002 section 5.3, with
  // mvfst's reading of it (state/QuicStateFunctions.cpp, updateRtt): the ACK delay is subtracted only while
  // the result stays above min_rtt, and is not capped by the peer's max_ack_delay.
  void update(Duration latest, Duration ack_delay) {
    latest_ = latest;
    min_ = has_sample_ ? std::min(min_, latest) : latest;
    max_ack_delay_ = std::max(max_ack_delay_, ack_delay);
    const Duration adjusted = latest > min_ + ack_delay ? latest - ack_delay : latest;
    if (!has_sample_) {
      has_sample_ = true;
      smoothed_ = adjusted;
      variation_ = adjusted / 2;
      return;
    }
    const Duration error = smoothed_ > adjusted ? smoothed_ - adjusted : adjusted - smoothed_;
    variation_ = (variation_ * 3 + error) / 4;
    smoothed_ = (smoothed_ * 7 + adjusted) / 8;
  }

  // False until the first sample; every duration below is zero until then.
  bool has_sample() const { return has_sample_; }
  Duration latest() const { return latest_; }
  Duration smoothed() const { return smoothed_; }
  Duration variation() const { return variation_; }
  Duration min() const { return min_; }
  // The largest ACK delay that the peer has reported; mvfst's PTO waits that much longer.
  Duration max_ack_delay() const { return max_ack_delay_; }
  // RFC 9002 section 6.2.1, with the largest ACK delay seen in place of the peer's announced one, and without
  // the floor of a timer granularity (mvfst: calculatePTO).
  Duration probe_timeout() const { return smoothed_ + variation_ * 4 + max_ack_delay_; }

 private:
  bool has_sample_ = false;
  Duration latest_, smoothed_, variation_, min_, max_ack_delay_;
};

}  // namespace mvfstrl
