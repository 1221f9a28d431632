#include "congestion/monitor_interval.h"

#include <algorithm>
#include <cmath>

namespace mvfstrl {

void Regression::add(double x, double y) {
  ++count_;
  const double dx = x - mean_x_;
  const double dy = y - mean_y_;
  mean_x_ += dx / static_cast<double>(count_);
  mean_y_ += dy / static_cast<double>(count_);
  xx_ += dx * (x - mean_x_);
  xy_ += dx * (y - mean_y_);
  yy_ += dy * (y - mean_y_);
}

double Regression::slope() const { return xx_ > 0 ? xy_ / xx_ : 0.0; }

std::optional<double> Regression::slope_error() const {
  if (count_ < 3 || xx_ <= 0) return std::nullopt;
  const double residual = std::max(0.0, yy_ - xy_ * xy_ / xx_);
  return std::sqrt(residual / static_cast<double>(count_ - 2) / xx_);
}

double MonitorInterval::loss_rate() const {
  const std::int64_t sent = acked.value() + lost.value();
  return sent > 0 ? static_cast<double>(lost.value()) / static_cast<double>(sent) : 0.0;
}

double MonitorInterval::rtt_gradient(double floor, double errors) const {
  const std::optional<double> error = rtt.slope_error();
  const double slope = rtt.slope();
  if (!error || std::abs(slope) < std::max(floor, errors * *error)) return 0.0;
  return slope;
}

}  // namespace mvfstrl
