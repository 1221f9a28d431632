#include "observe/delivery_rate.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace mvfstrl {
namespace {

constexpr TimePoint at(std::int64_t ms) { return TimePoint::from_ms(ms); }

TEST(DeliveryRate, IsZeroBeforeAnyAck) {
  DeliveryRate rate;
  rate.reset(at(1000));
  EXPECT_EQ(rate.update(at(1000), ByteCount::zero()), 0.0);
  EXPECT_EQ(rate.update(at(5000), ByteCount::zero()), 0.0);
}

TEST(DeliveryRate, ASteadyStreamReadsAsItsRate) {
  DeliveryRate rate;
  rate.reset(at(0));
  // 12,520 bytes every 8 ms: 1.565 MB/s. A span of 90 to 100 ms holds a whole number of ACKs only on average.
  double sum = 0;
  for (int i = 1; i <= 1000; ++i) {
    const double bytes_per_second = rate.update(at(8 * i), ByteCount(12'520));
    if (i <= 100) continue;
    EXPECT_NEAR(bytes_per_second, 1.565e6, 0.15 * 1.565e6);
    sum += bytes_per_second;
  }
  EXPECT_NEAR(sum / 900, 1.565e6, 0.06 * 1.565e6);
}

TEST(DeliveryRate, CountsTheLastNineSlotsAndTheRunningOne) {
  DeliveryRate rate;
  rate.reset(at(0));
  rate.update(at(3), ByteCount(1000));
  rate.update(at(55), ByteCount(2000));
  EXPECT_DOUBLE_EQ(rate.update(at(55), ByteCount::zero()), 3000 / 0.095);
  EXPECT_DOUBLE_EQ(rate.update(at(99), ByteCount::zero()), 3000 / 0.099);
  EXPECT_DOUBLE_EQ(rate.update(at(100), ByteCount::zero()), 2000 / 0.090);  // the slot of t = 3 ms has left
  EXPECT_DOUBLE_EQ(rate.update(at(149), ByteCount::zero()), 2000 / 0.099);
  EXPECT_DOUBLE_EQ(rate.update(at(150), ByteCount::zero()), 0.0);
}

TEST(DeliveryRate, ALongSilenceEmptiesEverySlot) {
  DeliveryRate rate;
  rate.reset(at(0));
  for (int t = 0; t < 100; t += 10) rate.update(at(t), ByteCount(500));
  EXPECT_DOUBLE_EQ(rate.update(at(10'004), ByteCount(90)), 90 / 0.094);
  // Just inside and just outside of the span, from a full ring.
  for (const std::int64_t silence : {90, 99, 100, 109, 110}) {
    rate.reset(at(0));
    for (int t = 0; t < 100; t += 10) rate.update(at(t), ByteCount(500));
    const std::int64_t whole = silence / 10 * 10;
    const double left = 500.0 * static_cast<double>(std::max<std::int64_t>(0, 10 - whole / 10));
    EXPECT_DOUBLE_EQ(rate.update(at(90 + silence), ByteCount::zero()),
                     left * 1e3 / static_cast<double>(90 + silence - whole))
        << silence;
  }
}

}  // namespace
}  // namespace mvfstrl
