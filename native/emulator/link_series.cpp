#include "emulator/link_series.h"

#include <algorithm>
#include <cstdint>

namespace mvfstrl {

void LinkSeries::add(const LinkEvent& event) {
  if (event.kind != LinkEvent::Kind::kDeparture) return;
  const std::int64_t ns = std::max<std::int64_t>((event.at - TimePoint::zero()).ns(), 1);
  const auto index = static_cast<std::size_t>((ns - 1) / window_.ns());
  if (windows_.size() <= index) windows_.resize(index + 1);
  windows_[index].left.add(event.size_bytes);
  windows_[index].sojourn += event.at - event.entered;
}

std::vector<LinkPoint> LinkSeries::until(TimePoint now) {
  const auto over = static_cast<std::size_t>((now - TimePoint::zero()).ns() / window_.ns());
  if (windows_.size() < over) windows_.resize(over);
  for (; closed_ < over; ++closed_) {
    const ByteCount offered =
        offered_.bytes(TimePoint::zero() + window_ * static_cast<std::int64_t>(closed_ + 1));
    windows_[closed_].offered = offered - offered_before_;
    offered_before_ = offered;
  }
  return {windows_.begin(), windows_.begin() + static_cast<std::ptrdiff_t>(over)};
}

}  // namespace mvfstrl
