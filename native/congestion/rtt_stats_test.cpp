#include "congestion/rtt_stats.h"

#include <gtest/gtest.h>

namespace mvfstrl {
namespace {

constexpr Duration ms(std::int64_t n) { return Duration::from_ms(n); }

TEST(RttStats, FirstSampleSetsEverything) {
  RttStats rtt;
  EXPECT_FALSE(rtt.has_sample());
  rtt.update(ms(100), ms(10));
  EXPECT_EQ(rtt.latest(), ms(100));
  EXPECT_EQ(rtt.min(), ms(100));
  EXPECT_EQ(rtt.smoothed(), ms(100));  // it is the minimum itself: nothing to subtract
  EXPECT_EQ(rtt.variation(), ms(50));
}

// RFC 9002 section 5.3.
TEST(RttStats, SmoothsByAnEighthAndAQuarter) {
  RttStats rtt;
  rtt.update(ms(100), ms(0));
  rtt.update(ms(180), ms(0));
  EXPECT_EQ(rtt.smoothed(), ms(110));
  EXPECT_EQ(rtt.variation(), Duration::from_us(57'500));  // 3/4 50 + 1/4 80
}

TEST(RttStats, SubtractsTheAckDelayOnlyAboveTheMinimum) {
  RttStats rtt;
  rtt.update(ms(100), ms(0));
  rtt.update(ms(120), ms(16));
  EXPECT_EQ(rtt.smoothed(), Duration::from_us(100'500));  // 104 ms counted
  EXPECT_EQ(rtt.latest(), ms(120));
  rtt.update(ms(110), ms(16));  // 94 ms would be below the minimum: 110 counted
  EXPECT_EQ(rtt.smoothed(), Duration::from_ns(101'687'500));
  EXPECT_EQ(rtt.min(), ms(100));
  EXPECT_EQ(rtt.max_ack_delay(), ms(16));
}

}  // namespace
}  // namespace mvfstrl
