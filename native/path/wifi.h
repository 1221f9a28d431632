// The Wi-Fi link: see WifiRate (config.h) for the model.
#pragma once

#include <cstdint>
#include <vector>

#include "common/rng.h"
#include "common/units.h"
#include "path/config.h"

namespace mvfstrl {

// A seeded sequence of delivery opportunities of 1500 bytes each: a transmission opportunity of the medium is
// as many of them at one instant, its end, as one aggregate holds at the rate of the moment.
class WifiProcess {
 public:
  WifiProcess(const WifiRate& config, Rng rng);

  // The opportunity that is up next.
  TimePoint next() const { return next_; }
  void advance() {
    if (--left_ == 0) next_transmission();
  }

 private:
  void next_transmission();
  void change_rate();

  Rng rng_;       // access gaps
  Rng rate_rng_;  // rate changes, in a stream of their own
  WifiRate config_;
  std::size_t rate_;  // index into config_.phy_rates
  TimePoint rate_end_;
  TimePoint next_;
  std::int64_t left_ = 1;  // opportunities at next_ that are still to come
};

// Packets of 1500 bytes in an aggregate at this rate, and the time that it takes, its overhead included.
std::int64_t wifi_aggregate(const WifiRate& config, Bandwidth phy_rate);
Duration wifi_transmission(const WifiRate& config, Bandwidth phy_rate);

}  // namespace mvfstrl
