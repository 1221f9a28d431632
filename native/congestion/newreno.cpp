#include "congestion/newreno.h"

#include <limits>
#include <stdexcept>

namespace mvfstrl {

namespace {
constexpr ByteCount kNoThreshold{std::numeric_limits<std::int64_t>::max()};
}  // namespace

NewReno::NewReno(const NewRenoConfig& config, const WindowLimits& limits)
    : config_(config), limits_(limits), window_(limits.initial()), ssthresh_(kNoThreshold) {
  limits_.validate();
  if (config_.additive_increase <= ByteCount::zero()) {
    throw std::invalid_argument("additive_increase must be positive");
  }
}

void NewReno::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats&) {
  if (loss != nullptr) on_loss(*loss);
  if (ack != nullptr && !ack->packets.empty()) on_ack(*ack);
}

void NewReno::on_loss(const LossEvent& loss) {
  if (!in_recovery(loss.packets.back().packet_number)) {
    recovery_end_ = loss.largest_sent;
    window_ = limits_.bound(window_ / 2);
    ssthresh_ = window_;
  }
  if (loss.persistent) {
    window_ = limits_.minimum();
    // RFC 9002 appendix B.8 starts afresh; mvfst stays in the recovery that it is in.
    if (config_.flavour == NewRenoFlavour::kRfc9002) recovery_end_.reset();
  }
}

void NewReno::on_ack(const AckEvent& ack) {
  for (const AckedPacket& packet : ack.packets) on_packet_acked(packet);
  window_ = limits_.bound(window_);
}

void NewReno::on_packet_acked(const AckedPacket& packet) {
  if (in_recovery(packet.packet_number)) return;
  const bool rfc = config_.flavour == NewRenoFlavour::kRfc9002;
  if (rfc && packet.app_limited) return;  // RFC 9002 section 7.8; mvfst's NewReno does not look
  if (in_slow_start()) {
    window_ += packet.size;
    return;
  }
  const ByteCount segment = rfc ? limits_.packet_size : config_.additive_increase;
  window_ += ByteCount(segment.value() * packet.size.value() / window_.value());
}

}  // namespace mvfstrl
