#include "traffic/application.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace mvfstrl {
namespace {

constexpr ByteCount kPacket{1252};

TimePoint at(std::int64_t ms) { return TimePoint::zero() + Duration::from_ms(ms); }

TEST(Application, BulkAlwaysHasMoreOnceItHasBegun) {
  Application app(BulkApp{}, kPacket, at(20), Rng());
  app.advance(at(19));
  EXPECT_FALSE(app.has_data());
  EXPECT_EQ(app.next_event(), at(20));
  app.advance(at(20));
  app.take(ByteCount(1'000'000'000));
  EXPECT_TRUE(app.unlimited());
  EXPECT_TRUE(app.has_data());
  EXPECT_FALSE(app.exhausted());
  EXPECT_EQ(app.next_event(), TimePoint::never());
}

TEST(Application, TransferEndsWithItsLastByte) {
  Application app(FixedSizeApp{ByteCount(3000)}, kPacket, at(0), Rng());
  EXPECT_FALSE(app.exhausted());  // it has not begun
  app.advance(at(0));
  app.take(kPacket);
  EXPECT_EQ(app.available(), ByteCount(1748));
  EXPECT_FALSE(app.exhausted());
  app.take(ByteCount(1748));
  EXPECT_FALSE(app.has_data());
  EXPECT_TRUE(app.exhausted());
}

TEST(Application, RatedBurstsProduceWholePacketsWhileOn) {
  OnOffApp bursts;
  bursts.on = Duration::from_ms(35);
  bursts.off = Duration::from_ms(50);
  bursts.exponential = false;
  bursts.rate = Bandwidth::from_bytes_over(kPacket, Duration::from_ms(10));
  Application app(bursts, kPacket, at(0), Rng());
  app.advance(at(84));  // packets at 0, 10, 20 and 30, silence from 35 to 85
  EXPECT_EQ(app.available(), kPacket * 4);
  EXPECT_EQ(app.next_event(), at(85));
  app.advance(at(85));
  EXPECT_EQ(app.available(), kPacket * 5);
}

TEST(Application, ExponentialBurstsLastTheirMeanOnAverage) {
  OnOffApp bursts;
  bursts.on = Duration::from_ms(100);
  bursts.off = Duration::from_ms(300);
  Application app(bursts, kPacket, at(0), Rng());
  Duration sending;
  TimePoint now = at(0);
  for (int i = 0; i < 40'000; ++i) {
    app.advance(now);
    const TimePoint next = app.next_event();
    if (app.has_data()) sending += next - now;
    now = next;
  }
  EXPECT_NEAR(sending / (now - at(0)), 0.25, 0.005);
}

TEST(Application, RefusesWhatItCannotPlay) {
  EXPECT_THROW(Application(FixedSizeApp{ByteCount(0)}, kPacket, at(0), Rng()), std::invalid_argument);
  OnOffApp bursts;
  bursts.on = Duration::zero();
  EXPECT_THROW(Application(bursts, kPacket, at(0), Rng()), std::invalid_argument);
  bursts = OnOffApp{};
  bursts.off = Duration::zero();
  EXPECT_THROW(Application(bursts, kPacket, at(0), Rng()), std::invalid_argument);
  bursts = OnOffApp{};
  bursts.rate = Bandwidth::from_mbps(-1);
  EXPECT_THROW(Application(bursts, kPacket, at(0), Rng()), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
