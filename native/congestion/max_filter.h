// The largest of recent samples, where "recent" is counted in rounds: Kathleen Nichols' windowed filter,
// which keeps the best three of ever later parts of the window instead of all samples (Linux
// lib/win_minmax.c; mvfst congestion_control/third_party/windowed_filter.h). A maximum may so be forgotten up
// to a quarter of the window late or replaced by one slightly too low, in mvfst as here.
#pragma once

#include <array>
#include <cstdint>

namespace mvfstrl {

template <typename T>
class MaxFilter {
 public:
  explicit MaxFilter(std::uint64_t window) : window_(window) {}
  void set_window(std::uint64_t window) { window_ = window; }

  T best() const { return best_[0].value; }

  void update(T value, std::uint64_t round) {
    const Sample sample{value, round};
    if (best_[0].value == T{} || value >= best_[0].value || expired(best_[2], round)) {
      best_.fill(sample);
      return;
    }
    if (value >= best_[1].value) {
      best_[1] = best_[2] = sample;
    } else if (value >= best_[2].value) {
      best_[2] = sample;
    }
    expire(sample);
  }

 private:
  struct Sample {
    T value{};
    std::uint64_t round = 0;
  };

  bool expired(const Sample& sample, std::uint64_t round) const { return round - sample.round > window_; }
  bool same(const Sample& a, const Sample& b) const { return a.value == b.value; }

  void expire(const Sample& now) {
    if (expired(best_[0], now.round)) {
      best_ = {best_[1], best_[2], now};
      if (expired(best_[0], now.round)) best_ = {best_[1], best_[2], best_[2]};
    } else if (same(best_[1], best_[0]) && now.round - best_[1].round > window_ / 4) {
      best_[1] = best_[2] = now;  // a quarter of the window without a second best
    } else if (same(best_[2], best_[1]) && now.round - best_[2].round > window_ / 2) {
      best_[2] = now;  // half of it without a third
    }
  }

  std::uint64_t window_;
  std::array<Sample, 3> best_{};
};

}  // namespace mvfstrl
