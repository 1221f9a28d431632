// A synthetic path for stories of controllers that measure the path: so many packets a millisecond leave a
// drop-tail queue, a propagation RTT follows, and each packet is acknowledged by itself. The sender is paced
// as the controller says, a millisecond at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "congestion/test_sender.h"

namespace mvfstrl {

class TestBottleneck {
 public:
  struct Options {
    std::int64_t packets_per_ms = 1;
    Duration rtt = Duration::from_ms(40);
    std::int64_t queue_packets = 1'000'000;
    std::int64_t lose_every = 0;    // besides, one packet in so many; 0: none
    std::int64_t ack_every_ms = 1;  // ACKs come together
  };

  TestBottleneck(CongestionController& controller, const Options& options)
      : options_(options), controller_(controller), sender_(controller, kPacket) {}

  static constexpr ByteCount kPacket{1252};

  Options& options() { return options_; }
  TimePoint now() const { return sender_.now(); }
  std::int64_t delivered() const { return delivered_; }
  std::int64_t lost() const { return lost_; }
  std::int64_t queue() const { return static_cast<std::int64_t>(queue_.size()); }
  std::int64_t bdp() const { return options_.packets_per_ms * options_.rtt.ns() / 1'000'000; }
  ByteCount in_flight() const { return sender_.in_flight(); }
  // The application is silent.
  void set_idle(bool idle) { idle_ = idle; }

  void run_ms(std::int64_t ms) {
    for (; ms > 0; --ms) step();
  }
  // Runs until `condition` holds; false after `limit_ms` without.
  template <typename Condition>
  bool run_until(Condition&& condition, std::int64_t limit_ms) {
    for (; limit_ms > 0 && !condition(); --limit_ms) step();
    return condition();
  }

 private:
  struct Packet {
    TimePoint sent;
    bool dropped = false;
  };
  struct Flying {
    TimePoint due;
    TimePoint sent;
    std::int64_t lost_before;  // the packets dropped just before it
  };

  void step() {
    sender_.advance(Duration::from_ms(1));
    acknowledge();
    serve();
    transmit();
  }
  void acknowledge() {
    if (now().ns() / 1'000'000 % options_.ack_every_ms != 0) return;
    while (!flying_.empty() && flying_.front().due <= now()) {
      const Flying packet = flying_.front();
      flying_.pop_front();
      ++delivered_;
      lost_ += packet.lost_before;
      sender_.lose_and_ack(packet.lost_before, 1, now() - packet.sent);
    }
  }
  void serve() {
    for (std::int64_t n = options_.packets_per_ms; n > 0 && !queue_.empty(); --n) {
      while (!queue_.empty() && queue_.front().dropped) pop_dropped();
      if (queue_.empty()) return;
      flying_.push_back({now() + options_.rtt, queue_.front().sent, dropped_});
      dropped_ = 0;
      queue_.pop_front();
    }
  }
  void pop_dropped() {
    ++dropped_;
    queue_.pop_front();
  }
  void transmit() {
    RttStats rtt;
    const auto pace = controller_.pace(rtt);
    const double per_ms = pace ? static_cast<double>(pace->window.value()) /
                                     static_cast<double>(kPacket.value()) / pace->over.to_ms()
                               : 1e9;
    credit_ = std::min(credit_ + per_ms, 2 * per_ms + 1);
    while (!idle_ && credit_ >= 1 && sender_.in_flight() < controller_.congestion_window()) {
      credit_ -= 1;
      sender_.send(1);
      ++sent_;
      const bool random = options_.lose_every > 0 && sent_ % options_.lose_every == 0;
      queue_.push_back({now(), random || waiting() >= options_.queue_packets});
    }
  }
  std::int64_t waiting() const {
    return std::count_if(queue_.begin(), queue_.end(), [](const Packet& p) { return !p.dropped; });
  }

  Options options_;
  CongestionController& controller_;
  TestSender sender_;
  std::deque<Packet> queue_;
  std::deque<Flying> flying_;
  std::int64_t dropped_ = 0;
  std::int64_t delivered_ = 0, lost_ = 0, sent_ = 0;
  double credit_ = 0;
  bool idle_ = false;
};

}  // namespace mvfstrl
