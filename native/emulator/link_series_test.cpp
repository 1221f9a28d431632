#include "emulator/link_series.h"

#include <gtest/gtest.h>

#include <vector>

#include "emulator/datagram_pool.h"
#include "emulator/relay.h"

namespace mvfstrl {
namespace {

constexpr Duration kWindow = Duration::from_ms(10);
constexpr auto kOrder = Direction::Order::kLinkLossDelay;

TimePoint ms(std::int64_t value) { return TimePoint::from_ms(value); }

LinkEvent departure(TimePoint at, TimePoint entered, std::uint32_t bytes) {
  LinkEvent event;
  event.at = at;
  event.entered = entered;
  event.size_bytes = bytes;
  event.kind = LinkEvent::Kind::kDeparture;
  return event;
}

// 1000 bytes a ms
DirectionConfig wire() {
  DirectionConfig config;
  config.rate = ConstantRate{Bandwidth::from_mbps(8)};
  return config;
}

TEST(LinkSeries, CountsWhatLeftInTheWindowInWhichItLeft) {
  LinkSeries series(kWindow, Offered(wire(), kOrder, Rng(1)));
  series.add(departure(ms(2), ms(1), 500));
  series.add(departure(ms(10), ms(2), 700));  // a window's end is in it
  LinkEvent other = departure(ms(11), ms(11), 900);
  for (const auto kind : {LinkEvent::Kind::kArrival, LinkEvent::Kind::kDrop}) {
    other.kind = kind;
    series.add(other);
  }
  series.add(departure(ms(31), ms(25), 100));
  const std::vector<LinkPoint> points = series.until(ms(39));
  ASSERT_EQ(points.size(), 3U) << "the fourth is not over";
  EXPECT_EQ(points[0].left, (Tally{2, 1200}));
  EXPECT_EQ(points[0].sojourn, Duration::from_ms(9));
  EXPECT_EQ(points[1].left, Tally{});
  for (const LinkPoint& point : points) EXPECT_EQ(point.offered, ByteCount(10'000));
  EXPECT_EQ(series.until(ms(40)).at(3).left, (Tally{1, 100}));
}

TEST(LinkSeries, TakesWhatIsToldAfterItsWindowWasOver) {
  LinkSeries series(kWindow, Offered(wire(), kOrder, Rng(1)));
  EXPECT_EQ(series.until(ms(20)).size(), 2U);
  series.add(departure(ms(20), ms(15), 300));
  const std::vector<LinkPoint> points = series.until(ms(30));
  EXPECT_EQ(points[1].left, (Tally{1, 300}));
  EXPECT_EQ(points[1].offered, ByteCount(10'000));
}

TEST(LinkSeries, SumsToWhatLeftTheRelay) {
  DatagramPool pool(1 << 10);
  DirectionConfig config = wire();
  config.loss = 0.2;
  config.queue = {.kind = QueueKind::kDropTail, .packets = 4};
  config.delay = Duration::from_ms(7);
  Relay relay(config, kOrder, Rng(3), 28, pool);
  LinkSeries series(kWindow, Offered(config, kOrder, Rng(3)));
  TimePoint due;
  for (std::int64_t i = 0; i < 200; ++i) {
    const TimePoint at = ms(i / 5);
    while (relay.advance(at, due) != nullptr) relay.settle(nullptr, &series);
    Datagram* datagram = pool.take();
    ASSERT_NE(datagram, nullptr);
    datagram->size = 472;
    relay.enter(at, datagram);
  }
  while (relay.advance(ms(500), due) != nullptr) continue;
  relay.settle(nullptr, &series);
  Tally left;
  for (const LinkPoint& point : series.until(ms(500))) left = left + point.left;
  EXPECT_EQ(ByteCount(left.bytes), relay.link_bytes());
  EXPECT_GT(left.packets, relay.delivered().packets) << "some were lost behind the link";
  EXPECT_LT(left.packets, 200) << "some were dropped";
}

}  // namespace
}  // namespace mvfstrl
