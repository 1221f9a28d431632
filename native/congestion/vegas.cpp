#include "congestion/vegas.h"

#include <algorithm>
#include <stdexcept>

namespace mvfstrl {

void VegasConfig::validate() const {
  if (!(alpha_packets > 0)) throw std::invalid_argument("vegas alpha_packets must be positive");
  if (!(beta_packets >= alpha_packets))
    throw std::invalid_argument("vegas beta_packets must be at least alpha_packets");
  if (!(gamma_packets > 0)) throw std::invalid_argument("vegas gamma_packets must be positive");
  if (!(loss_factor > 0 && loss_factor < 1))
    throw std::invalid_argument("vegas loss_factor must lie between 0 and 1");
}

Vegas::Vegas(const VegasConfig& config, const WindowLimits& limits)
    : config_(config), limits_(limits), window_(limits.initial()) {
  limits_.validate();
  config_.validate();
}

void Vegas::on_ack_or_loss(const AckEvent* ack, const LossEvent* loss, const RttStats&) {
  if (loss != nullptr) on_loss(*loss);
  if (ack != nullptr && !ack->packets.empty()) on_ack(*ack);
}

void Vegas::on_loss(const LossEvent& loss) {
  if (!recovery_end_ || loss.packets.back().packet_number > *recovery_end_) {
    recovery_end_ = loss.largest_sent;
    const double cut = static_cast<double>(window_.value()) * config_.loss_factor;
    window_ = limits_.bound(ByteCount(static_cast<std::int64_t>(cut)));
    slow_start_ = false;
  }
  if (loss.persistent) {
    window_ = limits_.minimum();
    slow_start_ = true;
    doubling_ = true;
  }
}

void Vegas::on_ack(const AckEvent& ack) {
  const std::uint64_t newest = ack.packets.back().packet_number;
  const bool recovering = recovery_end_ && newest <= *recovery_end_;
  if (!round_end_ || newest > *round_end_) {
    if (round_rtt_ && !recovering) on_round(ack);
    round_end_ = ack.largest_sent;
    round_rtt_.reset();
  }
  if (ack.rtt) {
    // What the peer says it held the ACK back is no queue (RFC 9002 section 5.3).
    const Duration path = *ack.rtt > ack.ack_delay ? *ack.rtt - ack.ack_delay : *ack.rtt;
    base_rtt_ = std::min(base_rtt_.value_or(path), path);
    round_rtt_ = std::min(round_rtt_.value_or(path), path);
  }
  if (slow_start_ && doubling_ && !recovering && !ack.packets.back().app_limited)
    window_ = limits_.bound(window_ + ack.acked_bytes);
}

void Vegas::on_round(const AckEvent& ack) {
  const double packets =
      static_cast<double>(window_.value()) / static_cast<double>(limits_.packet_size.value());
  const double queued = packets * ((*round_rtt_ - *base_rtt_) / *round_rtt_);
  if (slow_start_) {
    // Only a round in which the window stood still gives a valid comparison.
    if (!doubling_ && queued > config_.gamma_packets) {
      leave_slow_start();
    } else {
      doubling_ = !doubling_;
    }
    return;
  }
  if (queued > config_.beta_packets) {
    window_ = limits_.bound(window_ - limits_.packet_size);
  } else if (queued < config_.alpha_packets && !ack.packets.back().app_limited) {
    window_ = limits_.bound(window_ + limits_.packet_size);
  }
}

// To a packet more than the path holds, so that what slow start has queued drains (as in Linux; the paper
// does not say).
void Vegas::leave_slow_start() {
  slow_start_ = false;
  const double path = static_cast<double>(window_.value()) * (*base_rtt_ / *round_rtt_);
  const ByteCount target = ByteCount(static_cast<std::int64_t>(path)) + limits_.packet_size;
  window_ = limits_.bound(std::min(window_, target));
}

}  // namespace mvfstrl
