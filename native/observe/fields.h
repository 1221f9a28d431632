// The twenty fields of a network-state sample, named once: order, unit, kind, normalisation and bounds all
// derive from this table. They are the old mvfst-rl controller's twenty (shared vocabulary for migration),
// under names of ours.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace mvfstrl {

enum class Field : std::size_t {
  kRttMin,
  kRttStanding,
  kRttLatest,
  kRttSmoothed,
  kRttVariation,
  kDelay,
  kCwnd,
  kInFlight,
  kWritable,
  kSent,
  kReceived,
  kRetransmitted,
  kPtoCount,
  kPtoDelta,
  kRtxCount,
  kTimeoutRtxCount,
  kAcked,
  kThroughput,
  kLost,
  kPersistentCongestion,
};
inline constexpr std::size_t kFieldCount = 20;

enum class FieldKind {
  kLevel,    // a state at the event: mean, std, min, max
  kCounter,  // what the event added: sum, mean, std, min, max
};

struct FieldInfo {
  std::string_view name;
  std::string_view unit;  // of the raw sample value
  FieldKind kind;
  double norm;  // observation = raw / norm, clipped to [0, high]
  float high;
  std::string_view meaning;
};

// Times are shown in units of 100 ms, bytes in units of 1000 bytes, rates in 1000 bytes per 100 ms, counts as
// they are.
inline constexpr double kTimeNorm = 1e8;
inline constexpr double kByteNorm = 1000.0;
inline constexpr double kRateNorm = kByteNorm / 0.1;

// Clipping bounds in observation units: 100 s, 100 MB, 8 Gbit/s, 10,000 events. They keep one odd value from
// reaching a network; nothing that the simulator is meant for touches them.
inline constexpr float kTimeHigh = 1e3F;
inline constexpr float kByteHigh = 1e5F;
inline constexpr float kRateHigh = 1e5F;
inline constexpr float kCountHigh = 1e4F;

namespace detail {
constexpr FieldInfo time_level(std::string_view name, std::string_view meaning) {
  return {name, "ns", FieldKind::kLevel, kTimeNorm, kTimeHigh, meaning};
}
constexpr FieldInfo byte_level(std::string_view name, std::string_view meaning) {
  return {name, "bytes", FieldKind::kLevel, kByteNorm, kByteHigh, meaning};
}
constexpr FieldInfo byte_counter(std::string_view name, std::string_view meaning) {
  return {name, "bytes", FieldKind::kCounter, kByteNorm, kByteHigh, meaning};
}
constexpr FieldInfo counter(std::string_view name, std::string_view meaning) {
  return {name, "count", FieldKind::kCounter, 1.0, kCountHigh, meaning};
}
}  // namespace detail

inline constexpr std::array<FieldInfo, kFieldCount> kFields = {{
    detail::time_level("rtt_min", "smallest RTT of the connection"),
    detail::time_level("rtt_standing", "smallest RTT of the last half smoothed RTT"),
    detail::time_level("rtt_latest", "latest RTT sample"),
    detail::time_level("rtt_smoothed", "smoothed RTT (RFC 9002 section 5.3)"),
    detail::time_level("rtt_variation", "mean RTT deviation (RFC 9002 section 5.3)"),
    detail::time_level("delay", "latest RTT beyond the smallest"),
    detail::byte_level("cwnd", "congestion window"),
    detail::byte_level("in_flight", "bytes in flight after the event"),
    detail::byte_level("writable", "window not yet in flight"),
    detail::byte_counter("sent", "bytes sent since the previous sample, retransmissions included"),
    detail::byte_counter("received", "bytes received from the peer since the previous sample"),
    detail::byte_counter("retransmitted", "bytes sent again since the previous sample"),
    detail::counter("pto_count", "probe timeouts in a row, as held at the event (no increment)"),
    detail::counter("pto_delta", "probe timeouts since the previous sample"),
    detail::counter("rtx_count", "packets declared lost since the previous sample"),
    detail::counter("timeout_rtx_count",
                    "packets sent again after a probe timeout since the previous sample"),
    detail::byte_counter("acked", "bytes newly acknowledged by the event"),
    {"throughput", "bytes/s", FieldKind::kLevel, kRateNorm, kRateHigh,
     "bytes acknowledged over the last 100 ms, as a rate"},
    detail::byte_counter("lost", "bytes declared lost by the event"),
    detail::counter("persistent_congestion", "1 if the event established persistent congestion"),
}};

constexpr const FieldInfo& field_info(Field field) { return kFields[static_cast<std::size_t>(field)]; }

enum class Statistic : std::size_t { kSum, kMean, kStd, kMin, kMax };
inline constexpr std::array<std::string_view, 5> kStatisticNames = {"sum", "mean", "std", "min", "max"};

// Statistics of one field: a level has no sum.
constexpr std::size_t statistic_count(FieldKind kind) { return kind == FieldKind::kLevel ? 4 : 5; }

// Statistics of all fields.
constexpr std::size_t summary_size() {
  std::size_t size = 0;
  for (const FieldInfo& field : kFields) size += statistic_count(field.kind);
  return size;
}

}  // namespace mvfstrl
