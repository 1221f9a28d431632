// A synthetic sender for controller tests: each test is a story of send, ack, lose and advance. It keeps what
// a transport would (numbers, times, bytes in flight) and detects nothing by itself.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "congestion/controller.h"
#include "congestion/rtt_stats.h"

namespace mvfstrl {

class TestSender {
 public:
  explicit TestSender(CongestionController& controller, ByteCount packet_size = ByteCount(1252))
      : controller_(controller), packet_size_(packet_size) {}

  TimePoint now() const { return now_; }
  ByteCount in_flight() const { return in_flight_; }
  std::int64_t window_packets() const {
    return controller_.congestion_window().value() / packet_size_.value();
  }

  void advance(Duration d) { now_ += d; }
  void send(std::int64_t packets, bool app_limited = false) {
    for (; packets > 0; --packets) {
      if (outstanding_.empty()) delivery_.flight_start = now_;
      in_flight_ += packet_size_;
      sent_ += packet_size_;
      outstanding_.push_back({next_, now_, app_limited, sent_, delivery_});
      controller_.on_packet_sent({now_, next_++, packet_size_, in_flight_, app_limited});
    }
  }
  void fill_window() {
    while (in_flight_ < controller_.congestion_window()) send(1);
  }
  // The oldest packets in flight are acknowledged by one ACK, which measures `rtt` and tells how long the
  // peer held it back.
  void ack(std::int64_t packets, Duration rtt, Duration held = Duration::zero()) {
    event(packets, 0, false, rtt, held);
  }
  // The oldest packets in flight are lost.
  void lose(std::int64_t packets, bool persistent = false) {
    event(0, packets, persistent, Duration::zero());
  }
  // One event: the oldest `lost` packets are lost and the next `acked` ones acknowledged.
  void lose_and_ack(std::int64_t lost, std::int64_t acked, Duration rtt, bool persistent = false) {
    event(acked, lost, persistent, rtt);
  }
  // A round trip that ends with everything in flight acknowledged, `per_ack` packets an ACK, then a full
  // window sent.
  void round(Duration rtt, std::int64_t per_ack = 10) {
    advance(rtt);
    const auto target = static_cast<std::int64_t>(outstanding_.size());
    for (std::int64_t done = 0; done < target; done += per_ack) {
      ack(std::min(per_ack, target - done), rtt);
      fill_window();
    }
  }

 private:
  struct Outstanding {
    std::uint64_t number;
    TimePoint sent;
    bool app_limited;
    ByteCount sent_bytes;
    DeliveryState delivery;
  };

  Outstanding pop() {
    const Outstanding packet = outstanding_.front();
    outstanding_.pop_front();
    in_flight_ -= packet_size_;
    return packet;
  }

  void event(std::int64_t acked, std::int64_t lost, bool persistent, Duration rtt,
             Duration held = Duration::zero()) {
    const ByteCount prior = in_flight_;
    std::vector<Outstanding> gone;  // holds the states that the entries point at
    gone.reserve(static_cast<std::size_t>(acked + lost));
    std::vector<LostPacket> losses;
    for (; lost > 0; --lost) {
      const Outstanding& packet = gone.emplace_back(pop());
      LostPacket entry;
      entry.packet_number = packet.number;
      entry.sent_time = packet.sent;
      entry.size = packet_size_;
      entry.app_limited = packet.app_limited;
      entry.sent_bytes = packet.sent_bytes;
      entry.at_send = &packet.delivery;
      losses.push_back(entry);
    }
    std::vector<AckedPacket> acks;
    for (; acked > 0; --acked) {
      const Outstanding& packet = gone.emplace_back(pop());
      AckedPacket entry;
      entry.packet_number = packet.number;
      entry.sent_time = packet.sent;
      entry.size = packet_size_;
      entry.app_limited = packet.app_limited;
      entry.sent_bytes = packet.sent_bytes;
      entry.at_send = &packet.delivery;
      acks.push_back(entry);
    }
    note_delivery(acks, losses.size(), held);
    AckEvent ack;
    ack.now = now_;
    ack.packets = acks;
    ack.acked_bytes = packet_size_ * static_cast<std::int64_t>(acks.size());
    ack.prior_in_flight = prior;
    ack.bytes_in_flight = in_flight_;
    ack.largest_sent = next_ - 1;
    ack.delivery = delivery_;
    LossEvent loss;
    loss.now = now_;
    loss.packets = losses;
    loss.lost_bytes = packet_size_ * static_cast<std::int64_t>(losses.size());
    loss.prior_in_flight = prior;
    loss.largest_sent = next_ - 1;
    loss.persistent = persistent;
    loss.delivery = delivery_;
    if (!acks.empty()) {
      rtt_.update(rtt, held);
      ack.rtt = rtt;
      ack.ack_delay = held;
    }
    controller_.on_ack_or_loss(acks.empty() ? nullptr : &ack, losses.empty() ? nullptr : &loss, rtt_);
  }

  void note_delivery(const std::vector<AckedPacket>& acks, std::size_t lost, Duration held) {
    delivery_.lost += packet_size_ * static_cast<std::int64_t>(lost);
    if (acks.empty()) return;
    delivery_.delivered += packet_size_ * static_cast<std::int64_t>(acks.size());
    delivery_.sent = sent_;
    delivery_.ack_time = now_;
    delivery_.received_time = now_ - held;
    delivery_.acked_sent_time = acks.back().sent_time;
  }

  CongestionController& controller_;
  ByteCount packet_size_;
  TimePoint now_ = TimePoint::from_ms(1000);
  std::uint64_t next_ = 0;
  ByteCount in_flight_;
  ByteCount sent_;
  DeliveryState delivery_;
  std::deque<Outstanding> outstanding_;
  RttStats rtt_;
};

}  // namespace mvfstrl
