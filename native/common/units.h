// Strong units of the whole core. Time is counted in integer nanoseconds: at 1 Gbit/s a 1252-byte packet
// lasts 10 us, so microseconds would round every serialisation time (RFC 9000 does not fix a clock).
// No function here reads a clock: `now` is always handed in.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>

namespace mvfstrl {

// A signed span of time.
class Duration {
 public:
  constexpr Duration() = default;
  static constexpr Duration from_ns(std::int64_t ns) { return Duration(ns); }
  static constexpr Duration from_us(std::int64_t us) { return Duration(us * 1'000); }
  static constexpr Duration from_ms(std::int64_t ms) { return Duration(ms * 1'000'000); }
  // Rounds to the nearest nanosecond.
  static Duration from_ms_f(double ms) { return Duration(std::llround(ms * 1e6)); }
  static Duration from_seconds(double s) { return Duration(std::llround(s * 1e9)); }
  static constexpr Duration zero() { return Duration(0); }
  static constexpr Duration infinite() { return Duration(std::numeric_limits<std::int64_t>::max() / 4); }

  constexpr std::int64_t ns() const { return ns_; }
  constexpr double to_ms() const { return static_cast<double>(ns_) * 1e-6; }
  constexpr double to_seconds() const { return static_cast<double>(ns_) * 1e-9; }
  constexpr bool is_zero() const { return ns_ == 0; }

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator-() const { return Duration(-ns_); }
  constexpr Duration operator+(Duration o) const { return Duration(ns_ + o.ns_); }
  constexpr Duration operator-(Duration o) const { return Duration(ns_ - o.ns_); }
  constexpr Duration& operator+=(Duration o) {
    ns_ += o.ns_;
    return *this;
  }
  constexpr Duration& operator-=(Duration o) {
    ns_ -= o.ns_;
    return *this;
  }
  constexpr Duration operator*(std::int64_t k) const { return Duration(ns_ * k); }
  constexpr Duration operator/(std::int64_t k) const { return Duration(ns_ / k); }
  Duration scaled(double k) const { return Duration(std::llround(static_cast<double>(ns_) * k)); }
  constexpr double operator/(Duration o) const {
    return static_cast<double>(ns_) / static_cast<double>(o.ns_);
  }

 private:
  constexpr explicit Duration(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;
};

// A point on the virtual (or a host's monotonic) clock, counted from the clock's own zero.
class TimePoint {
 public:
  constexpr TimePoint() = default;
  static constexpr TimePoint from_ns(std::int64_t ns) { return TimePoint(ns); }
  static constexpr TimePoint from_ms(std::int64_t ms) { return TimePoint(ms * 1'000'000); }
  static constexpr TimePoint zero() { return TimePoint(0); }
  // Later than every event: the "no deadline" of timers.
  static constexpr TimePoint never() { return TimePoint(std::numeric_limits<std::int64_t>::max() / 2); }

  constexpr std::int64_t ns() const { return ns_; }
  constexpr double to_ms() const { return static_cast<double>(ns_) * 1e-6; }
  constexpr double to_seconds() const { return static_cast<double>(ns_) * 1e-9; }
  constexpr bool is_never() const { return ns_ >= never().ns_; }

  constexpr auto operator<=>(const TimePoint&) const = default;
  constexpr TimePoint operator+(Duration d) const { return TimePoint(ns_ + d.ns()); }
  constexpr TimePoint operator-(Duration d) const { return TimePoint(ns_ - d.ns()); }
  constexpr Duration operator-(TimePoint o) const { return Duration::from_ns(ns_ - o.ns_); }
  constexpr TimePoint& operator+=(Duration d) {
    ns_ += d.ns();
    return *this;
  }

 private:
  constexpr explicit TimePoint(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;
};

// A count of bytes; signed, so that differences are safe.
class ByteCount {
 public:
  constexpr ByteCount() = default;
  constexpr explicit ByteCount(std::int64_t bytes) : bytes_(bytes) {}
  static constexpr ByteCount zero() { return ByteCount(0); }

  constexpr std::int64_t value() const { return bytes_; }
  constexpr auto operator<=>(const ByteCount&) const = default;
  constexpr ByteCount operator+(ByteCount o) const { return ByteCount(bytes_ + o.bytes_); }
  constexpr ByteCount operator-(ByteCount o) const { return ByteCount(bytes_ - o.bytes_); }
  constexpr ByteCount& operator+=(ByteCount o) {
    bytes_ += o.bytes_;
    return *this;
  }
  constexpr ByteCount& operator-=(ByteCount o) {
    bytes_ -= o.bytes_;
    return *this;
  }
  constexpr ByteCount operator*(std::int64_t k) const { return ByteCount(bytes_ * k); }
  constexpr ByteCount operator/(std::int64_t k) const { return ByteCount(bytes_ / k); }

 private:
  std::int64_t bytes_ = 0;
};

// A rate in bits per second.
class Bandwidth {
 public:
  constexpr Bandwidth() = default;
  static constexpr Bandwidth from_bps(double bps) { return Bandwidth(bps); }
  static constexpr Bandwidth from_mbps(double mbps) { return Bandwidth(mbps * 1e6); }
  static Bandwidth from_bytes_over(ByteCount bytes, Duration span) {
    return Bandwidth(static_cast<double>(bytes.value()) * 8.0 / span.to_seconds());
  }

  constexpr double bps() const { return bps_; }
  constexpr double to_mbps() const { return bps_ * 1e-6; }
  constexpr auto operator<=>(const Bandwidth&) const = default;
  constexpr Bandwidth operator*(double k) const { return Bandwidth(bps_ * k); }
  // Time to put `bytes` on a wire of this rate, rounded to the nearest nanosecond.
  Duration transfer_time(ByteCount bytes) const {
    return Duration::from_ns(std::llround(static_cast<double>(bytes.value()) * 8e9 / bps_));
  }
  // Bytes that this rate carries in `span`, rounded down.
  constexpr ByteCount bytes_in(Duration span) const {
    return ByteCount(static_cast<std::int64_t>(bps_ * span.to_seconds() / 8.0));
  }

 private:
  constexpr explicit Bandwidth(double bps) : bps_(bps) {}
  double bps_ = 0;
};

}  // namespace mvfstrl
