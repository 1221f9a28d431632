#include "observe/delivery_rate.h"

#include <gtest/gtest.h>

namespace mvfstrl {
namespace {

constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }

TEST(DeliveryRate, IsZeroBeforeAnyAck) {
  DeliveryRate rate;
  rate.reset(at(1000));
  EXPECT_EQ(rate.bytes_per_second(at(1000)), 0.0);
  EXPECT_EQ(rate.bytes_per_second(at(5000)), 0.0);
}

TEST(DeliveryRate, ASteadyStreamReadsAsItsRate) {
  DeliveryRate rate;
  rate.reset(at(0));
  // 12,520 bytes every 8 ms: 1.565 MB/s. A span of 90 to 100 ms holds a whole number of ACKs only on average.
  double sum = 0;
  for (int i = 1; i <= 1000; ++i) {
    rate.on_acked(at(8 * i), ByteCount(12'520));
    if (i <= 100) continue;
    EXPECT_NEAR(rate.bytes_per_second(at(8 * i)), 1.565e6, 0.15 * 1.565e6);
    sum += rate.bytes_per_second(at(8 * i));
  }
  EXPECT_NEAR(sum / 900, 1.565e6, 0.06 * 1.565e6);
}

TEST(DeliveryRate, CountsTheLastNineSlotsAndTheRunningOne) {
  DeliveryRate rate;
  rate.reset(at(0));
  rate.on_acked(at(3), ByteCount(1000));
  rate.on_acked(at(55), ByteCount(2000));
  EXPECT_DOUBLE_EQ(rate.bytes_per_second(at(55)), 3000 / 0.095);
  EXPECT_DOUBLE_EQ(rate.bytes_per_second(at(99)), 3000 / 0.099);
  EXPECT_DOUBLE_EQ(rate.bytes_per_second(at(100)), 2000 / 0.090);  // the slot of t = 3 ms has left
  EXPECT_DOUBLE_EQ(rate.bytes_per_second(at(149)), 2000 / 0.099);
  EXPECT_DOUBLE_EQ(rate.bytes_per_second(at(150)), 0.0);
}

TEST(DeliveryRate, ALongSilenceEmptiesEverySlot) {
  DeliveryRate rate;
  rate.reset(at(0));
  for (int t = 0; t < 100; t += 10) rate.on_acked(at(t), ByteCount(500));
  rate.on_acked(at(10'000), ByteCount(90));
  EXPECT_DOUBLE_EQ(rate.bytes_per_second(at(10'000)), 90 / 0.090);
}

}  // namespace
}  // namespace mvfstrl
