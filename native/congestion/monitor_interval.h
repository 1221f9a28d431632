// A stretch of packets sent at one rate, and what became of them: the unit in which PCC measures (Dong et
// al., "PCC Vivace: Online-Learning Congestion Control", NSDI 2018, section 2).
#pragma once

#include <cstdint>
#include <optional>

#include "common/units.h"

namespace mvfstrl {

// The straight line of least squares through samples, in seconds.
class Regression {
 public:
  void add(double x, double y);
  std::int64_t count() const { return count_; }
  double slope() const;
  // The slope's standard error; needs three samples, as two lie on their line whatever the noise.
  std::optional<double> slope_error() const;

 private:
  std::int64_t count_ = 0;
  double mean_x_ = 0, mean_y_ = 0;
  double xx_ = 0, xy_ = 0, yy_ = 0;  // sums of products of deviations from the means
};

struct MonitorInterval {
  double mbps = 0;          // the rate that was asked for
  bool measured = false;    // its utility is wanted; else the time until a result is filled at this rate
  std::uint64_t first = 0;  // packet numbers [first, end)
  std::optional<std::uint64_t> end;  // none: still being sent
  TimePoint begun, ended;
  std::uint64_t acked_packets = 0, lost_packets = 0;
  ByteCount acked, lost;
  bool app_limited = false;
  Regression rtt;  // over the time of sending

  bool holds(std::uint64_t packet) const { return packet >= first && (!end || packet < *end); }
  bool complete() const { return end && acked_packets + lost_packets >= *end - first; }
  double loss_rate() const;
  // Seconds of RTT a second of sending, zero unless it stands out: beyond `floor`, and beyond `errors`
  // standard errors of the regression.
  double rtt_gradient(double floor, double errors) const;
};

}  // namespace mvfstrl
