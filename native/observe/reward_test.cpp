#include "observe/reward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace mvfstrl {
namespace {

// 150 kB acknowledged and 50 kB lost in 100 ms: 1.5 MB/s; delays up to 40 ms, 25 ms in the mean, RTT 75 ms.
WindowSummary window() {
  WindowSummary summary;
  summary.start = TimePoint::from_ms(1000);
  summary.end = TimePoint::from_ms(1100);
  summary.events = 12;
  summary.acked = ByteCount(150'000);
  summary.lost = ByteCount(50'000);
  summary.max_delay = Duration::from_ms(40);
  summary.mean_delay = Duration::from_ms(25);
  summary.mean_rtt = Duration::from_ms(75);
  return summary;
}

TEST(Reward, LogRatioIsTheDefaultFormula) {
  const RewardConfig config;
  EXPECT_EQ(reward_name(config), "log_ratio");
  EXPECT_DOUBLE_EQ(Reward(config).of(window()), std::log(1e-5 + 1.5) - 0.2 * std::log(1e-5 + 40.0));
}

TEST(Reward, LogRatioWithoutThroughputOrDelayIsFinite) {
  WindowSummary silent = window();
  silent.acked = silent.lost = ByteCount::zero();
  silent.max_delay = Duration::zero();
  EXPECT_DOUBLE_EQ(Reward(LogRatioReward{}).of(silent), 0.8 * std::log(1e-5));
}

TEST(Reward, LogRatioWeighsEachTerm) {
  LogRatioReward weights;
  weights.throughput_factor = 2;
  weights.throughput_offset = 0.5;
  weights.delay_factor = 3;
  weights.delay_offset = 1;
  weights.loss_factor = 4;
  weights.loss_offset = 0.01;
  weights.use_max_delay = false;
  EXPECT_DOUBLE_EQ(Reward(weights).of(window()), 2 * std::log(2.0) - 3 * std::log(26.0) - 4 * std::log(0.06));
}

TEST(Reward, LinearIsAWeightedSum) {
  LinearReward weights;
  EXPECT_DOUBLE_EQ(Reward(weights).of(window()), 0.1 * 1.5 - 0.01 * 40);
  weights.loss_factor = 2;
  weights.use_max_delay = false;
  EXPECT_DOUBLE_EQ(Reward(weights).of(window()), 0.1 * 1.5 - 0.01 * 25 - 2 * 0.05);
  EXPECT_EQ(reward_name(weights), "linear");
}

TEST(Reward, PowerIsThroughputOverRoundTripTime) {
  PowerReward weights;
  EXPECT_DOUBLE_EQ(Reward(weights).of(window()), 1.5 / 0.075);
  weights.throughput_exponent = 2;
  weights.scale = 0.5;
  EXPECT_DOUBLE_EQ(Reward(weights).of(window()), 0.5 * 2.25 / 0.075);
  EXPECT_EQ(reward_name(weights), "power");
}

TEST(Reward, LogPowerIsThroughputOverResponseTimeDiscountedByLoss) {
  EXPECT_EQ(reward_name(LogPowerReward{}), "log_power");
  EXPECT_DOUBLE_EQ(Reward(LogPowerReward{}).of(window()),
                   std::log(1.501) - 0.5 * std::log(0.075) + std::log(1 - 0.99 * 0.25));
  LogPowerReward weights{2, 0.5, 3, 4};
  EXPECT_DOUBLE_EQ(Reward(weights).of(window()),
                   2 * std::log(2.0) - 3 * std::log(0.075) + 4 * std::log(1 - 0.99 * 0.25));
  WindowSummary lost = window();
  lost.acked = ByteCount::zero();
  EXPECT_NEAR(Reward(LogPowerReward{}).of(lost), std::log(1e-3) - 0.5 * std::log(0.075) + std::log(0.01),
              1e-12);
}

TEST(Reward, AuroraCountsPacketsSecondsAndTheLostFraction) {
  EXPECT_DOUBLE_EQ(Reward(AuroraReward{}).of(window()), 10 * 1000.0 - 1000 * 0.075 - 2000 * 0.25);
  EXPECT_EQ(reward_name(AuroraReward{}), "aurora");
  AuroraReward weights{1, 2, 3, 1000};
  EXPECT_DOUBLE_EQ(Reward(weights).of(window()), 1500 - 2 * 0.075 - 3 * 0.25);
}

template <class Weights>
std::string refusal(const Weights& weights) {
  try {
    Reward reward(weights);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Reward, BadWeightsAreNamed) {
  LogRatioReward log_ratio;
  log_ratio.delay_offset = 0;
  EXPECT_EQ(refusal(log_ratio).find("reward.delay_offset must be positive"), 0U);
  log_ratio = LogRatioReward{};
  log_ratio.throughput_factor = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(refusal(log_ratio).find("reward.throughput_factor must be finite"), 0U);
  LinearReward linear;
  linear.loss_factor = std::numeric_limits<double>::infinity();
  EXPECT_EQ(refusal(linear).find("reward.loss_factor must be finite"), 0U);
  PowerReward power;
  power.throughput_exponent = -1;
  EXPECT_EQ(refusal(power).find("reward.throughput_exponent must be positive"), 0U);
  LogPowerReward log_power;
  log_power.throughput_offset = 0;
  EXPECT_THROW(Reward{log_power}, std::invalid_argument);
  AuroraReward aurora;
  aurora.packet_bytes = 0;
  EXPECT_EQ(refusal(aurora).find("reward.packet_bytes must be positive"), 0U);
}

TEST(Reward, IsTheSumOfItsTerms) {
  LogPowerReward weights;
  const RewardTerms terms = Reward(weights).terms(window());
  EXPECT_DOUBLE_EQ(terms.throughput, std::log(1.501));
  EXPECT_DOUBLE_EQ(terms.delay, -0.5 * std::log(0.075));
  EXPECT_DOUBLE_EQ(terms.loss, std::log(1 - 0.99 * 0.25));
  for (const RewardConfig& config : {RewardConfig(LogRatioReward{}), RewardConfig(LinearReward{}),
                                     RewardConfig(PowerReward{}), RewardConfig(AuroraReward{})}) {
    EXPECT_EQ(Reward(config).terms(window()).sum(), Reward(config).of(window())) << reward_name(config);
  }
}

}  // namespace
}  // namespace mvfstrl
