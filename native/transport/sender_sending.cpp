// What a sender sends next, and what it notes of it.
#include <algorithm>

#include "transport/sender.h"

namespace mvfstrl {

void Sender::send(TimePoint now, ByteCount size, DataPacket& out) {
  if (stats_.packets_in_flight == 0) {
    delivery_.flight_start = now;
    note_delivery();
  }
  out.packet_number = book(now, size);
  out.payload = size;
  last_sent_ = now;
  arm_loss_alarm(now);
  if (notify_sent_) {
    const bool app_limited = sent_[out.packet_number].app_limited;
    notify_sent({now, out.packet_number, size, stats_.bytes_in_flight, app_limited});
  }
}

void Sender::notify_sent(const SentPacket& packet) {
  controller_->on_packet_sent(packet);
  if (log_ != nullptr) log_->on_packet_sent(packet, stats_.pto_count);
}

bool Sender::next_by_rules(TimePoint now, DataPacket& out) {
  plain_window_ = ByteCount::zero();
  app_.advance(now);
  if (probes_pending_ > 0) [[unlikely]]
    return probe(now, out);
  pacing_blocked_ = false;
  // mvfst rounds what the window admits up to whole packets (congestionControlWritableBytes).
  const ByteCount window = controller_->congestion_window();
  if (stats_.bytes_in_flight >= window) {
    pacer_.cancel();
    return false;
  }
  if (!has_data()) [[unlikely]] {
    pacer_.cancel();
    on_nothing_to_send(now);
    return false;
  }
  if (pacer_.enabled()) {
    if (!pacer_.may_send(now)) {
      pacing_blocked_ = true;
      return false;
    }
    pacer_.on_packet_sent();
  }
  const bool plain = app_.unlimited() && !app_idle_ && retransmit_ == ByteCount::zero() && !handshaking();
  if (plain) [[likely]] {
    send(now, config_.window.packet_size, out);
    if (!notify_sent_) plain_window_ = window;
  } else {
    send_data(now, out);
  }
  return true;
}

void Sender::send_data(TimePoint now, DataPacket& out) {
  if (app_idle_) {
    app_idle_ = false;
    controller_->set_app_idle(false, now);
  }
  if (handshaking()) {
    send_handshake(now, out);
    return;
  }
  const ByteCount full = config_.window.packet_size;
  const bool again = retransmit_ > ByteCount::zero();
  const ByteCount offered = again ? retransmit_ : (app_.unlimited() ? full : app_.available());
  const ByteCount size = std::min(full, offered);
  if (again) {
    retransmit_ -= size;
    stats_.bytes_retransmitted += size;
  } else {
    app_.take(size);
  }
  send(now, size, out);
}

void Sender::send_handshake(TimePoint now, DataPacket& out) {
  const auto flight = static_cast<std::uint64_t>(config_.handshake_packets);
  const std::uint64_t number = sent_.next_packet_number();
  ByteCount size = config_.window.packet_size;
  if (number >= flight) {
    done_pending_ = false;
    size = config_.handshake_done;
  } else if (number + 1 == flight) {
    size = config_.handshake_last_packet;
  }
  send(now, size, out);
}

void Sender::on_nothing_to_send(TimePoint now) {
  app_limited_until_ = stats_.bytes_acked + stats_.bytes_in_flight + ByteCount(1);
  if (!app_idle_ && stats_.packets_in_flight == 0 && stats_.packets_sent > 0) {
    app_idle_ = true;
    controller_->set_app_idle(true, now);
  }
}

// A probe carries lost data, else new data, else repeats the oldest packet in flight (mvfst:
// CloningScheduler). It ignores the window and the pacer.
bool Sender::probe(TimePoint now, DataPacket& out) {
  --probes_pending_;
  if (has_data()) {
    send_data(now, out);
    return true;
  }
  if (clone_oldest(now, out)) return true;
  probes_pending_ = 0;
  return false;
}

bool Sender::clone_oldest(TimePoint now, DataPacket& out) {
  const auto try_clone = [&](std::uint64_t number) {
    if (number < next_clone_ || sent_[number].clone_offset != 0) return false;
    next_clone_ = number + 1;
    const ByteCount size(sent_[number].size);
    sent_[number].shares_data = true;
    send(now, size, out);
    SentRecord& clone = sent_[out.packet_number];
    clone.clone_offset = static_cast<std::uint32_t>(out.packet_number - number);
    clone.shares_data = true;
    stats_.bytes_retransmitted += size;
    ++stats_.timeout_based_rtx_count;
    return true;
  };
  for (std::size_t i = sent_.declared_lost(); i < sent_.holes(); ++i) {
    if (try_clone(sent_.hole(i))) return true;
  }
  const std::uint64_t end = sent_.next_packet_number();
  for (std::uint64_t number = sent_.acked_end(); number < end; ++number) {
    if (try_clone(number)) return true;
  }
  return false;
}

}  // namespace mvfstrl
