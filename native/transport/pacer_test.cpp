#include "transport/pacer.h"

#include <gtest/gtest.h>

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};

// Exact timers and the library's tick of a millisecond.
TransportConfig exact() {
  TransportConfig config;
  config.pacing_tick = Duration::from_ms(1);
  config.pacing_timer_tick = Duration::zero();
  return config;
}

struct Story {
  explicit Story(const TransportConfig& config = exact()) : pacer(config, true) {}

  void pace(std::int64_t packets, std::int64_t over_ms, bool restart = false) {
    pacer.set_pace({kPacket * packets, Duration::from_ms(over_ms), restart});
  }
  // What a write at `us` sends while the window has room for `room` packets.
  std::int64_t write(std::int64_t us, std::int64_t room = 1'000) {
    const TimePoint now = TimePoint::from_ns(us * 1'000);
    std::int64_t sent = 0;
    for (; sent < room && pacer.may_send(now); ++sent) pacer.on_packet_sent();
    if (sent == room) pacer.cancel();
    return sent;
  }
  std::int64_t timer_us() const { return pacer.next_release().ns() / 1'000; }

  Pacer pacer;
};

// 60 packets over 60 ms: five packets, the least, every 5 ms.
TEST(Pacer, SpreadsAWindowOverTheRtt) {
  Story story;
  story.pace(60, 60);
  EXPECT_EQ(story.write(0), 5);
  EXPECT_EQ(story.timer_us(), 5'000);
  EXPECT_EQ(story.write(4'999), 0);
  EXPECT_EQ(story.write(5'000), 5);
}

// 600 packets over 60 ms: ten every tick.
TEST(Pacer, GrowsTheBurstWhereTheTickIsTheLimit) {
  Story story;
  story.pace(600, 60);
  EXPECT_EQ(story.write(0), 10);
  EXPECT_EQ(story.timer_us(), 1'000);
}

TEST(Pacer, MakesUpForALateWriteAndOwesWhatItRoundedUp) {
  Story story;
  story.pace(60, 60);
  EXPECT_EQ(story.write(0), 5);
  EXPECT_EQ(story.write(6'500), 7);   // 6.5 due, half a packet ahead
  EXPECT_EQ(story.write(12'000), 5);  // 5.5 due, half a packet owed
}

TEST(Pacer, MakesUpForAtMostFiveBursts) {
  Story story;
  story.pace(60, 60);
  EXPECT_EQ(story.write(0), 5);
  EXPECT_EQ(story.write(90'000), 25);
}

// Where the window ended a write, no timer runs, and the ACK that opens the window is answered at once, with
// the packets of the time since.
TEST(Pacer, AnswersAnAckEarlyWhereTheWindowEndedTheWrite) {
  Story story;
  story.pace(60, 60);
  EXPECT_EQ(story.write(0, 3), 3);
  EXPECT_EQ(story.write(2'000), 2);
  EXPECT_EQ(story.timer_us(), 7'000);
}

TEST(Pacer, WaitsForItsTimerWhereTheBurstEndedTheWrite) {
  Story story;
  story.pace(60, 60);
  EXPECT_EQ(story.write(0), 5);
  story.pace(600, 60);  // a new pace does not move the timer
  EXPECT_EQ(story.write(2'000), 0);
  EXPECT_EQ(story.write(5'000), 50);
}

TEST(Pacer, ForgetsItsTimerWhenTheWindowIsFullMeanwhile) {
  Story story;
  story.pace(60, 60);
  EXPECT_EQ(story.write(0), 5);
  story.pacer.cancel();
  EXPECT_EQ(story.write(1'000), 1);
}

TEST(Pacer, ARestartGrantsAWholeBurst) {
  Story story;
  story.pace(60, 60);
  EXPECT_EQ(story.write(0, 3), 3);
  story.pace(60, 60, true);
  EXPECT_EQ(story.write(1'000), 5);
}

TEST(Pacer, CannotPaceARttBelowItsTick) {
  Story story;
  story.pacer.set_pace({kPacket * 60, Duration::from_us(900)});
  EXPECT_EQ(story.write(0), 1'000);
}

// The wheel fires a tick after the last whole one: 4.27 ms become 4.3.
TEST(Pacer, TimersAreThoseOfAWheel) {
  TransportConfig config = exact();
  config.pacing_timer_tick = Duration::from_us(100);
  Story story(config);
  story.pacer.set_pace({kPacket * 60, Duration::from_us(51'240)});
  EXPECT_EQ(story.write(0), 5);
  EXPECT_EQ(story.timer_us(), 4'300);
  EXPECT_EQ(story.write(4'300), 6);  // 5.04 due
}

}  // namespace
}  // namespace mvfstrl
