// A sender and a receiver over an ideal line, for tests: constant rate and delay, and a choice of what is
// dropped. Everything is in order, so that two queues hold what is under way.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>

#include "transport/receiver.h"
#include "transport/sender.h"

namespace mvfstrl {

class TestLine {
 public:
  struct Options {
    Duration delay = Duration::from_ms(30);       // one way
    Duration spacing = Duration::zero();          // the link's time a packet
    Duration limit = Duration::infinite();        // longest wait for the link; longer drops
    std::function<bool(std::uint64_t)> drop;      // lost on the line, by packet number
    std::function<bool(std::uint64_t)> drop_ack;  // by count of ACKs
    std::function<void()> after_event;
  };

  TestLine(Sender sender, const TransportConfig& config, Options options)
      : sender_(std::move(sender)), receiver_(config, options.delay * 2), options_(std::move(options)) {}

  Sender& sender() { return sender_; }
  Receiver& receiver() { return receiver_; }
  TimePoint now() const { return now_; }
  std::uint64_t dropped() const { return dropped_; }
  std::uint64_t under_way() const { return line_.size(); }

  // Up to `until`, or until nothing is left to happen.
  void run(TimePoint until) {
    flush();
    for (TimePoint next = next_event(); next <= until; next = next_event()) {
      now_ = next;
      while (!line_.empty() && line_.front().at <= now_) {
        receiver_.on_packet(now_, line_.front().number);
        line_.pop_front();
      }
      send_ack();
      while (!acks_.empty() && acks_.front().at <= now_) {
        sender_.on_ack(now_, acks_.front().frame);
        acks_.pop_front();
      }
      if (now_ >= sender_.next_timer()) sender_.on_timer(now_);
      flush();
      if (options_.after_event) options_.after_event();
    }
    now_ = std::max(now_, until);
  }

 private:
  struct InFlight {
    TimePoint at;
    std::uint64_t number;
  };
  struct AckInFlight {
    TimePoint at;
    AckFrame frame;
  };

  TimePoint next_event() const {
    TimePoint next = std::min(sender_.next_timer(), receiver_.next_timer());
    if (!line_.empty()) next = std::min(next, line_.front().at);
    if (!acks_.empty()) next = std::min(next, acks_.front().at);
    return next;
  }

  void flush() {
    DataPacket packet;
    while (sender_.next_packet(now_, packet)) {
      const TimePoint start = std::max(now_, link_free_);
      if (start - now_ > options_.limit || (options_.drop && options_.drop(packet.packet_number))) {
        ++dropped_;
        continue;
      }
      link_free_ = start + options_.spacing;
      line_.push_back({link_free_ + options_.delay, packet.packet_number});
    }
  }

  void send_ack() {
    AckFrame frame;
    if (!receiver_.take_ack(now_, frame)) return;
    if (options_.drop_ack && options_.drop_ack(ack_count_++)) return;
    acks_.push_back({now_ + options_.delay, std::move(frame)});
  }

  Sender sender_;
  Receiver receiver_;
  Options options_;
  TimePoint now_;
  TimePoint link_free_;
  std::deque<InFlight> line_;
  std::deque<AckInFlight> acks_;
  std::uint64_t dropped_ = 0;
  std::uint64_t ack_count_ = 0;
};

}  // namespace mvfstrl
