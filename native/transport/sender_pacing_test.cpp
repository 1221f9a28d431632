// Which flows are paced, and how a paced one leaves.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "transport/sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};
constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }

struct Controller final : CongestionController {
  void on_ack_or_loss(const AckEvent*, const LossEvent*, const RttStats&) override {}
  ByteCount congestion_window() const override { return window; }
  bool wants_pacing() const override { return wanted; }

  ByteCount window;
  bool wanted = false;
};

struct Story {
  Story(Pacing pacing, bool wanted, std::int64_t window) {
    TransportConfig config;
    config.handshake_packets = 0;
    config.pacing = pacing;
    auto made = std::make_unique<Controller>();
    made->window = kPacket * window;
    made->wanted = wanted;
    controller = made.get();
    sender = std::make_unique<Sender>(config, std::move(made), BulkApp{});
  }
  std::int64_t flush(TimePoint now) {
    std::int64_t sent = 0;
    while (sender->next_packet(now, packet)) ++sent;
    return sent;
  }
  void ack(TimePoint now, std::vector<AckRange> falling) {
    AckFrame frame;
    frame.ranges = std::move(falling);
    frame.payload = ByteCount(68);
    sender->on_ack(now, frame);
  }

  Controller* controller;
  std::unique_ptr<Sender> sender;
  DataPacket packet;
};

// What leaves at once when a window of 20 opens, after an RTT is known.
std::int64_t burst(Pacing pacing, bool wanted) {
  Story story(pacing, wanted, 20);
  story.flush(at(0));
  story.ack(at(60), {{0, 19}});
  return story.flush(at(60));
}

TEST(SenderPacing, AutoAsksTheController) {
  EXPECT_EQ(burst(Pacing::kAuto, false), 20);
  EXPECT_EQ(burst(Pacing::kAuto, true), 5);
}

TEST(SenderPacing, AlwaysAndNeverOverruleTheController) {
  EXPECT_EQ(burst(Pacing::kAlways, false), 5);
  EXPECT_EQ(burst(Pacing::kNever, true), 20);
}

TEST(SenderPacing, SpreadsAWindowOverARoundTrip) {
  Story story(Pacing::kAlways, false, 60);
  EXPECT_EQ(story.flush(at(0)), 60);  // no RTT yet: mvfst cannot pace
  story.ack(at(60), {{0, 59}});
  std::int64_t sent = 0;
  std::int64_t largest_burst = 0;
  TimePoint now = at(60);
  while (now < at(118)) {
    const std::int64_t left = story.flush(now);
    sent += left;
    largest_burst = std::max(largest_burst, left);
    const TimePoint next = story.sender->next_timer();
    ASSERT_GT(next, now);
    now = next;
    story.sender->on_timer(now);
  }
  EXPECT_EQ(largest_burst, 5);  // at least five packets: 12 bursts of 5, 5 ms apart
  EXPECT_EQ(sent, 60);
}

}  // namespace
}  // namespace mvfstrl
