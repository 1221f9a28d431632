#include "common/delay_histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mvfstrl {

std::uint64_t DelayHistogram::count() const {
  return std::accumulate(bins_.begin(), bins_.end(), std::uint64_t{0});
}

Duration DelayHistogram::mean() const {
  const std::uint64_t n = count();
  return n == 0 ? Duration::zero() : Duration::from_ns(static_cast<std::int64_t>((sum_ns_ + n / 2) / n));
}

Duration DelayHistogram::percentile(double p) const {
  const std::uint64_t n = count();
  if (n == 0) return Duration::zero();
  const auto rank =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(p * static_cast<double>(n))));
  std::uint64_t seen = 0;
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    seen += bins_[bin];
    if (seen >= rank) return middle_of(bin);
  }
  return middle_of(bins_.size() - 1);
}

void DelayHistogram::grow(std::size_t bin) { bins_.resize(((bin >> kSubBits) + 1) << kSubBits); }

Duration DelayHistogram::middle_of(std::size_t bin) {
  // bin_of maps [kSubBins << shift, 2 kSubBins << shift) onto bins from (shift + 1) kSubBins.
  const std::size_t octave = bin >> kSubBits;
  const std::size_t shift = octave < 2 ? 0 : octave - 1;
  const std::uint64_t low = static_cast<std::uint64_t>(bin - (shift << kSubBits)) << (shift + kUnitBits);
  const std::uint64_t width = std::uint64_t{1} << (shift + kUnitBits);
  return Duration::from_ns(static_cast<std::int64_t>(low + width / 2));
}

}  // namespace mvfstrl
