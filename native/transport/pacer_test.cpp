#include "transport/pacer.h"

#include <gtest/gtest.h>

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};

Pacer make_pacer() { return Pacer(TransportConfig{}, true); }

constexpr TimePoint at_us(std::int64_t us) { return TimePoint::from_ns(us * 1'000); }

std::int64_t burst(Pacer& pacer, TimePoint now) {
  std::int64_t sent = 0;
  for (; sent < 1'000 && pacer.may_send(now); ++sent) pacer.on_packet_sent();
  return sent;
}

// 60 packets over 60 ms: five packets, the least, every 5 ms.
TEST(Pacer, SpreadsAWindowOverTheRtt) {
  Pacer pacer = make_pacer();
  pacer.set_rate(kPacket * 60, Duration::from_ms(60));
  EXPECT_EQ(burst(pacer, at_us(0)), 5);
  EXPECT_EQ(pacer.next_release(), at_us(5'000));
  EXPECT_EQ(burst(pacer, at_us(4'999)), 0);
  EXPECT_EQ(burst(pacer, at_us(5'000)), 5);
}

// 600 packets over 60 ms: ten every tick.
TEST(Pacer, GrowsTheBurstWhereTheTickIsTheLimit) {
  Pacer pacer = make_pacer();
  pacer.set_rate(kPacket * 600, Duration::from_ms(60));
  EXPECT_EQ(burst(pacer, at_us(0)), 10);
  EXPECT_EQ(pacer.next_release(), at_us(1'000));
}

TEST(Pacer, MakesUpForALateWriteAndOwesWhatItRoundedUp) {
  Pacer pacer = make_pacer();
  pacer.set_rate(kPacket * 60, Duration::from_ms(60));
  EXPECT_EQ(burst(pacer, at_us(0)), 5);
  EXPECT_EQ(burst(pacer, at_us(6'500)), 7);   // 6.5 due, half a packet ahead
  EXPECT_EQ(burst(pacer, at_us(12'000)), 5);  // 5.5 due, half a packet owed
}

TEST(Pacer, MakesUpForAtMostFiveBursts) {
  Pacer pacer = make_pacer();
  pacer.set_rate(kPacket * 60, Duration::from_ms(60));
  EXPECT_EQ(burst(pacer, at_us(0)), 5);
  EXPECT_EQ(burst(pacer, at_us(90'000)), 25);
}

TEST(Pacer, CannotPaceARttBelowItsTick) {
  Pacer pacer = make_pacer();
  pacer.set_rate(kPacket * 60, Duration::from_us(900));
  EXPECT_EQ(burst(pacer, at_us(0)), 1'000);
}

}  // namespace
}  // namespace mvfstrl
