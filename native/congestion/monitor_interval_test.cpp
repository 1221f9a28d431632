#include "congestion/monitor_interval.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mvfstrl {
namespace {

TEST(Regression, TellsSlopeAndItsError) {
  Regression line;
  EXPECT_EQ(line.slope(), 0.0);
  line.add(0, 0);
  line.add(1, 1);
  EXPECT_FALSE(line.slope_error().has_value());
  line.add(2, 1);
  EXPECT_DOUBLE_EQ(line.slope(), 0.5);
  // Residuals -1/6, 1/3, -1/6: their squares' sum 1/6 over one degree of freedom, over sum (x - 1)^2 = 2.
  EXPECT_NEAR(*line.slope_error(), std::sqrt(1.0 / 6 / 2), 1e-12);
}

TEST(Regression, SamplesOfOneInstantHaveNoSlope) {
  Regression line;
  for (const double y : {0.0, 1.0, 2.0}) line.add(0.06, y);
  EXPECT_EQ(line.slope(), 0.0);
  EXPECT_FALSE(line.slope_error().has_value());
}

MonitorInterval with_rtts(std::initializer_list<double> rtts) {
  MonitorInterval interval;
  double at = 0;
  for (const double rtt : rtts) interval.rtt.add(at += 0.01, rtt);
  return interval;
}

TEST(MonitorInterval, AClearGradientCounts) {
  EXPECT_NEAR(with_rtts({0.0600, 0.0605, 0.0610, 0.0615}).rtt_gradient(0.01, 2), 0.05, 1e-9);
  EXPECT_NEAR(with_rtts({0.0615, 0.0610, 0.0605, 0.0600}).rtt_gradient(0.01, 2), -0.05, 1e-9);
}

TEST(MonitorInterval, ASmallGradientDoesNot) {
  const MonitorInterval interval = with_rtts({0.06000, 0.06009, 0.06018, 0.06027});
  EXPECT_EQ(interval.rtt_gradient(0.01, 2), 0.0);
  EXPECT_GT(interval.rtt_gradient(0.008, 2), 0.0);
}

TEST(MonitorInterval, NorOneThatItsErrorExplains) {
  const MonitorInterval interval = with_rtts({0.060, 0.063, 0.058, 0.064, 0.061});
  EXPECT_GT(interval.rtt.slope(), 0.01);
  EXPECT_EQ(interval.rtt_gradient(0.01, 2), 0.0);
  EXPECT_GT(interval.rtt_gradient(0.01, 0), 0.0);
}

TEST(MonitorInterval, NorOneOfTwoSamples) { EXPECT_EQ(with_rtts({0.06, 0.09}).rtt_gradient(0.01, 2), 0.0); }

TEST(MonitorInterval, IsCompleteWhenEachPacketIsAcknowledgedOrLost) {
  MonitorInterval interval;
  interval.first = 10;
  EXPECT_TRUE(interval.holds(10));
  EXPECT_TRUE(interval.holds(1'000));
  EXPECT_FALSE(interval.holds(9));
  interval.acked_packets = 3;
  EXPECT_FALSE(interval.complete()) << "still being sent";
  interval.end = 14;
  EXPECT_FALSE(interval.holds(14));
  EXPECT_FALSE(interval.complete());
  interval.lost_packets = 1;
  EXPECT_TRUE(interval.complete());
  interval.acked = ByteCount(300);
  interval.lost = ByteCount(100);
  EXPECT_DOUBLE_EQ(interval.loss_rate(), 0.25);
}

}  // namespace
}  // namespace mvfstrl
