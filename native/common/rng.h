// A seeded counter-based random number generator: output k of stream (seed, stream) is a pure function of
// (seed, stream, k), so streams are independent of each other, of threads and of the standard library
// (whose distributions differ between implementations).
//
// The mixing function is the SplitMix64 finaliser (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators", OOPSLA 2014; constants are variant 13 of Stafford).
#pragma once

#include <cmath>
#include <cstdint>

namespace mvfstrl {

constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class Rng {
 public:
  explicit constexpr Rng(std::uint64_t seed = 0, std::uint64_t stream = 0)
      : key_(mix64(seed + kGolden) ^ mix64(stream * kGolden + 0x2545f4914f6cdd1dULL)) {}

  // A generator whose numbers are independent of this one's; `purpose` names what it is for.
  constexpr Rng fork(std::uint64_t purpose) const { return Rng(key_, purpose); }

  constexpr std::uint64_t next_u64() { return mix64(key_ + kGolden * ++counter_); }
  // Uniform on [0, 1), 53 bits.
  constexpr double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }
  constexpr double uniform(double lo, double hi) { return lo + (hi - lo) * uniform(); }
  // Log-uniform on [lo, hi); needs 0 < lo <= hi.
  double log_uniform(double lo, double hi) { return lo * std::exp(std::log(hi / lo) * uniform()); }
  // Uniform on {0, ..., n-1}; needs n > 0. Bias below 2^-64 * n.
  constexpr std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next_u64()) * n) >> 64);
  }
  constexpr bool bernoulli(double p) { return uniform() < p; }
  double exponential(double mean) { return -mean * std::log1p(-uniform()); }
  // Standard normal by Box-Muller; uses two outputs a call, so that the counter stays predictable.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

}  // namespace mvfstrl
