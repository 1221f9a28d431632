#include "path/wifi.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <stdexcept>

#include "path/opportunities.h"

namespace mvfstrl {
namespace {

WifiRate one_rate(double mbps) { return {.phy_rates = {Bandwidth::from_mbps(mbps)}}; }

TEST(WifiAggregate, IsBoundedByAirtimeAndByPackets) {
  // 4 ms at 30 Mbps are 15000 bytes, ten packets; at 300 Mbps a hundred would fit, of which 64 may.
  EXPECT_EQ(wifi_aggregate(one_rate(30), Bandwidth::from_mbps(30)), 10);
  EXPECT_EQ(wifi_aggregate(one_rate(300), Bandwidth::from_mbps(300)), 64);
  EXPECT_EQ(wifi_aggregate(one_rate(1), Bandwidth::from_mbps(1)), 1) << "one goes at any rate";
  EXPECT_EQ(wifi_transmission(one_rate(30), Bandwidth::from_mbps(30)), Duration::from_us(4'300));
}

TEST(WifiProcess, PacketsOfAnAggregateComeTogether) {
  WifiRate config = one_rate(30);
  config.gap = Duration::zero();
  WifiProcess process(config, Rng(1));
  for (int transmission = 1; transmission <= 50; ++transmission) {
    for (int i = 0; i < 10; ++i, process.advance()) {
      ASSERT_EQ(process.next().ns(), transmission * 4'300'000);
    }
  }
}

TEST(WifiProcess, WaitsForTheMediumAreExponential) {
  WifiProcess process(one_rate(30), Rng(1));
  constexpr int kTransmissions = 20'000;
  double sum = 0;
  double squares = 0;
  TimePoint previous;
  for (int i = 0; i < kTransmissions; ++i) {
    const double gap = (process.next() - previous).to_ms() - 4.3;
    previous = process.next();
    sum += gap;
    squares += gap * gap;
    for (int packet = 0; packet < 10; ++packet) process.advance();
  }
  const double mean = sum / kTransmissions;
  EXPECT_NEAR(mean, 2, 5 * 2 / std::sqrt(kTransmissions));
  EXPECT_NEAR(std::sqrt(squares / kTransmissions - mean * mean), 2, 5 * 2 * 1.4 / std::sqrt(kTransmissions));
}

TEST(WifiProcess, RateMovesBetweenNeighboursAndVisitsAllAlike) {
  const WifiRate config{.phy_rates = {Bandwidth::from_mbps(30), Bandwidth::from_mbps(60),
                                      Bandwidth::from_mbps(90), Bandwidth::from_mbps(120)},
                        .hold = Duration::from_ms(100)};
  WifiProcess process(config, Rng(5));
  std::map<std::int64_t, double> time_at;  // by packets of the aggregate, which tell the rate
  std::int64_t previous_size = 0;
  TimePoint previous;
  while (process.next() < TimePoint::from_ms(2'000'000)) {
    const TimePoint end = process.next();
    std::int64_t size = 0;
    for (; process.next() == end; process.advance()) ++size;
    ASSERT_EQ(size % 10, 0);
    // Two changes within a transmission are rare, and skip a neighbour.
    if (previous_size != 0) {
      EXPECT_LE(std::abs(size - previous_size), 20);
    }
    time_at[size] += (end - previous).to_ms();
    previous_size = size;
    previous = end;
  }
  ASSERT_EQ(time_at.size(), 4u);
  for (const auto& [size, ms] : time_at) EXPECT_NEAR(ms / 2'000'000, 0.25, 0.04) << size;
}

TEST(WifiProcess, ScaleMultipliesTheRatesInTheAir) {
  WifiRate config = one_rate(30);
  config.gap = Duration::zero();
  config.scale = 2;
  Opportunities opportunities(config, Rng(1));
  opportunities.skip_past(TimePoint::zero() + Duration::from_us(4'300));
  EXPECT_EQ(opportunities.passed(), 20);
}

TEST(WifiProcess, UnsoundLinksAreRefused) {
  const auto refused = [](const WifiRate& rate) {
    EXPECT_THROW(WifiProcess(rate, Rng()), std::invalid_argument);
  };
  refused({});
  refused({.phy_rates = {Bandwidth::from_mbps(2), Bandwidth::from_mbps(1)}});
  refused({.phy_rates = {Bandwidth::from_mbps(0)}});
  WifiRate config = one_rate(30);
  config.aggregate_packets = 0;
  refused(config);
  config = one_rate(30);
  config.gap = -Duration::from_ms(1);
  refused(config);
}

}  // namespace
}  // namespace mvfstrl
