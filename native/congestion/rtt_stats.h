// Round-trip time statistics of a connection (RFC 9002 section 5). Owned by the transport; controllers and
// observers hold it const.
#pragma once

#include <algorithm>
#include <optional>

#include "common/units.h"

namespace mvfstrl {

class RttStats {
 public:
  // Records one sample: `latest` as measured, `ack_delay` as the peer reported it. RFC 9002 section 5.3; the
  // acknowledgement delay is subtracted only while the result stays at or above min_rtt.
  void update(Duration latest, Duration ack_delay) {
    latest_ = latest;
    min_ = has_sample_ ? std::min(min_, latest) : latest;
    Duration adjusted = latest;
    if (latest - ack_delay >= min_) adjusted = latest - ack_delay;
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

 private:
  bool has_sample_ = false;
  Duration latest_, smoothed_, variation_, min_;
};

}  // namespace mvfstrl
