#include "transport/receiver.h"

#include <algorithm>

#include "transport/wheel_timer.h"

namespace mvfstrl {

namespace {

// RFC 9000 section 16.
constexpr std::int64_t varint_bytes(std::uint64_t value) {
  if (value < (1ULL << 6)) return 1;
  if (value < (1ULL << 14)) return 2;
  return value < (1ULL << 30) ? 4 : 8;
}

// A short-header packet as mvfst's client sends it: flags, 8-byte connection ID, 2-byte packet number, AEAD
// tag.
constexpr std::int64_t kPacketOverhead = 1 + 8 + 2 + 16;
// Frame type and the largest acknowledged; mvfst starts at a random packet number of up to 24 bits, so the
// latter takes 4 bytes.
constexpr std::int64_t kFrameStart = 1 + 4;

}  // namespace

Receiver::Receiver(const TransportConfig& config, Duration path_rtt) : config_(config) {
  config_.validate();
  const bool sampled = path_rtt > Duration::zero() && config_.handshake_packets > 0;
  const Duration smoothed_rtt = sampled ? path_rtt + config_.handshake_processing : path_rtt;
  const Duration wanted = std::min(config_.max_ack_delay, smoothed_rtt.scaled(config_.ack_timer_factor));
  ranges_.reserve(2 * static_cast<std::size_t>(config_.max_ack_ranges));
  ack_timeout_ = wheel_timeout(std::max(config_.ack_timer_tick, wanted), config_.ack_timer_tick);
}

void Receiver::on_unexpected(TimePoint now, std::uint64_t packet_number) {
  const auto handshake_packets = static_cast<std::uint64_t>(config_.handshake_packets);
  const std::uint64_t expected = ranges_.empty() ? packet_number : ranges_.front().last + 1;
  const std::uint64_t distance =
      packet_number > expected ? packet_number - expected : expected - packet_number;
  if (!insert(packet_number)) {
    ++duplicates_received_;  // RFC 9000 section 12.3: not processed further
    return;
  }
  const std::uint64_t newest = ranges_.front().last;
  expected_ = newest + 1 >= handshake_packets ? newest + 1 : kNoPacket;
  const bool at_once =
      packet_number < handshake_packets || distance > static_cast<std::uint64_t>(config_.ack_reordering);
  count(now, packet_number == newest, at_once);
}

bool Receiver::take_ack(TimePoint now, AckFrame& out) {
  if (now < ack_deadline_) return false;
  const auto listed = std::min(ranges_.size(), static_cast<std::size_t>(config_.max_ack_ranges));
  out.ranges.assign(ranges_.begin(), ranges_.begin() + static_cast<std::ptrdiff_t>(listed));
  const std::int64_t delay_us = (now - largest_time_).ns() / 1000;
  out.ack_delay = Duration::from_us(delay_us >> config_.ack_delay_exponent << config_.ack_delay_exponent);
  out.payload = ack_payload(out.ack_delay);
  unacknowledged_ = 0;
  ack_deadline_ = TimePoint::never();
  return true;
}

bool Receiver::insert(std::uint64_t packet_number) {
  if (!ranges_.empty() && packet_number <= ranges_.front().last) return insert_below_newest(packet_number);
  if (!ranges_.empty() && packet_number == ranges_.front().last + 1) {
    ranges_.front().last = packet_number;
  } else {
    begin_range(packet_number);
  }
  return true;
}

void Receiver::begin_range(std::uint64_t packet_number) {
  if (!ranges_.empty()) {
    const AckRange& previous = ranges_.front();
    ++older_ranges_;
    older_range_bytes_ +=
        varint_bytes(packet_number - previous.last - 2) + varint_bytes(previous.last - previous.first);
  }
  const auto kept = static_cast<std::size_t>(config_.max_ack_ranges);
  if (ranges_.size() >= 2 * kept) ranges_.resize(kept);
  ranges_.insert(ranges_.begin(), {packet_number, packet_number});
}

// A late packet: it extends a range, joins two or makes one. False where it is a duplicate, or so old that
// its range is let go of.
bool Receiver::insert_below_newest(std::uint64_t packet_number) {
  const auto below = std::partition_point(ranges_.begin(), ranges_.end(),
                                          [=](const AckRange& range) { return range.last >= packet_number; });
  const auto above = below - 1;
  if (above->first <= packet_number) return false;
  const bool oldest = below == ranges_.end();
  if (oldest && older_ranges_ >= static_cast<std::int64_t>(ranges_.size())) return false;
  const bool touches_above = above->first == packet_number + 1;
  const bool touches_below = !oldest && below->last + 1 == packet_number;
  constexpr std::int64_t kSmallRange = 2;  // bytes of a gap and a length below 64
  if (touches_above && touches_below) {
    below->last = above->last;
    ranges_.erase(above);
    --older_ranges_;
    older_range_bytes_ -= kSmallRange;
  } else if (touches_above) {
    above->first = packet_number;
  } else if (touches_below) {
    below->last = packet_number;
  } else {
    ranges_.insert(below, {packet_number, packet_number});
    ++older_ranges_;
    older_range_bytes_ += kSmallRange;
  }
  return true;
}

// mvfst lists every range since the connection began, as many as a packet holds, and pads the packet so that
// it is short of a full one by a multiple of the padding.
ByteCount Receiver::ack_payload(Duration ack_delay) const {
  const AckRange& newest = ranges_.front();
  const auto delay_units = static_cast<std::uint64_t>(ack_delay.ns() / 1000) >> config_.ack_delay_exponent;
  const std::int64_t bytes = kPacketOverhead + kFrameStart + varint_bytes(delay_units) +
                             varint_bytes(static_cast<std::uint64_t>(older_ranges_)) +
                             varint_bytes(newest.last - newest.first) + older_range_bytes_;
  const std::int64_t full = config_.window.packet_size.value();
  if (bytes >= full) return ByteCount(full);
  if (config_.ack_padding_bytes == 0) return ByteCount(bytes);
  return ByteCount(full - (full - bytes) / config_.ack_padding_bytes * config_.ack_padding_bytes);
}

}  // namespace mvfstrl
