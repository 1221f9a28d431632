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

// What leaves at once when a window opens to 100 packets, after a flight of 20 has told the RTT.
std::int64_t burst(Pacing pacing, bool wanted) {
  Story story(pacing, wanted, 20);
  story.flush(at(0));
  story.controller->window = kPacket * 100;
  story.ack(at(60), {{0, 19}});
  return story.flush(at(60));
}

constexpr std::int64_t kCaughtUp = 25;  // five bursts of five: the last write is a round trip ago

TEST(SenderPacing, AutoAsksTheController) {
  EXPECT_EQ(burst(Pacing::kAuto, false), 100);
  EXPECT_EQ(burst(Pacing::kAuto, true), kCaughtUp);
}

TEST(SenderPacing, AlwaysAndNeverOverruleTheController) {
  EXPECT_EQ(burst(Pacing::kAlways, false), kCaughtUp);
  EXPECT_EQ(burst(Pacing::kNever, true), 100);
}

TEST(SenderPacing, SpreadsAWindowOverARoundTrip) {
  Story story(Pacing::kAlways, false, 60);
  EXPECT_EQ(story.flush(at(0)), 60);  // no RTT yet: mvfst cannot pace
  story.ack(at(60), {{0, 59}});
  EXPECT_EQ(story.flush(at(60)), kCaughtUp);
  std::int64_t sent = kCaughtUp;
  std::int64_t largest_burst = 0;
  TimePoint now = at(60);
  while (sent < 60) {
    const TimePoint next = story.sender->next_timer();
    ASSERT_GT(next, now);
    now = next;
    story.sender->on_timer(now);
    const std::int64_t left = story.flush(now);
    sent += left;
    largest_burst = std::max(largest_burst, left);
  }
  EXPECT_LE(largest_burst, 6);  // 5.1 packets due every 5.1 ms
  EXPECT_GE(now, at(60) + Duration::from_ms(30));
}

// A window that is full forgets the pacing timer: what opens it is answered at once, with what is due by
// then.
TEST(SenderPacing, AFullWindowForgetsTheTimer) {
  Story story(Pacing::kAlways, false, 60);
  story.flush(at(0));
  story.ack(at(60), {{0, 59}});
  EXPECT_EQ(story.flush(at(60)), kCaughtUp);
  story.controller->window = kPacket * 10;
  EXPECT_EQ(story.flush(at(61)), 0);
  story.controller->window = kPacket * 60;
  EXPECT_EQ(story.flush(at(62)), 2);  // five packets every 5 ms
}

}  // namespace
}  // namespace mvfstrl
