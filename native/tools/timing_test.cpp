#include "tools/timing.h"

#include <gtest/gtest.h>

namespace mvfstrl::tools {
namespace {

TEST(Quantile, IsTheNearestRank) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  EXPECT_EQ(quantile(values, 0.5), 50);
  EXPECT_EQ(quantile(values, 0.99), 99);
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 1), 100);
  std::vector<double> one{3};
  EXPECT_EQ(quantile(one, 0.99), 3);
}

TEST(Timing, EverythingGetsItsShareAndSinglesAreAsManyAsGrouped) {
  volatile double sink = 0;
  const auto work = [&sink](int amount) {
    return [&sink, amount] {
      for (int i = 0; i < amount; ++i) sink = sink + 1;
    };
  };
  std::vector<Timed> timed(2);
  timed[0].decide = work(1'000);
  timed[1].decide = work(10'000);
  time_in_turns(timed, 0.02, clock_cost_us());
  for (const Timed& each : timed) {
    EXPECT_GE(each.grouped_us, 10'000);
    EXPECT_EQ(each.single.size(), each.grouped);
  }
}

}  // namespace
}  // namespace mvfstrl::tools
