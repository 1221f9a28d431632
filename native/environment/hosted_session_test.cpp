// A real connection's session is told, by plain notifications, what happened on a flow in virtual time, and
// must see, decide and earn the same.
#include "environment/hosted_session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "environment/test_replay.h"

namespace mvfstrl {
namespace {

void expect_same_number(double mine, double expected) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(mine));
  } else {
    EXPECT_NEAR(mine, expected, 1e-9);
  }
}

// Window by window, but for the last, which was cut.
void expect_same_series(const Comparison<>& both) {
  const std::vector<SessionPoint> series = both.session->series()->points();
  const std::vector<SeriesPoint>& expected = both.virtual_time.report.series;
  ASSERT_EQ(series.size(), 80U);
  for (std::size_t i = 0; i < series.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(series[i].window_packets, expected[i].window_packets);
    EXPECT_EQ(series[i].sent_packets, expected[i].sent_packets);
    EXPECT_EQ(series[i].lost_packets, expected[i].lost_packets);
    EXPECT_EQ(series[i].action, expected[i].action);
    EXPECT_EQ(series[i].skipped, expected[i].skipped);
    expect_same_number(series[i].reward, expected[i].reward);
    expect_same_number(series[i].rtt_ms, expected[i].rtt_ms);
  }
}

TEST(HostedSession, AnAgentSeesAndEarnsWhatItDoesInVirtualTime) {
  const Comparison<> both(lossy_config());
  expect_same(both);
  expect_same_series(both);
  EXPECT_GT(both.session->ledger().stats().packets_lost, 10U);
}

TEST(HostedSession, SoItDoesWhereAnswersTakeLongerThanAWindow) {
  EnvironmentConfig config = lossy_config();
  config.action_delay = UniformDelay{Duration::from_ms(20), Duration::from_ms(330)};
  const Comparison<> both(config);
  expect_same(both);
  expect_same_series(both);
  EXPECT_GT(both.session->account().skipped(), 5);
}

TEST(HostedSession, SoItDoesWithCountWindows) {
  EnvironmentConfig config = lossy_config();
  config.observation.window_kind = WindowKind::kCount;
  config.observation.window_events = 12;
  const Comparison<> both(config);
  expect_same(both);
  expect_same_series(both);
}

TEST(HostedSession, ASeriesIsRecordedOnRequest) {
  const auto session = make_session(lossy_config(), {});
  EXPECT_EQ(session->series(), nullptr);
  EXPECT_EQ(session_report(*session, FlowConfig{}, 0, TimePoint::zero()).find("series"), nullptr);
}

// One of each kind that there is in virtual time, with its defaults.
template <std::size_t... Is>
std::vector<SchemeConfig> catalogue(std::index_sequence<Is...>) {
  return {SchemeConfig(std::in_place_index<Is>)...};
}

// Windows and rates are compared after each event, as the flow's log has them.
TEST(HostedSession, EverySchemeDrivesTheWindowAsInVirtualTime) {
  constexpr std::size_t kInVirtualTime = std::variant_size_v<SchemeConfig> - kMvfstSchemeNames.size();
  for (const SchemeConfig& scheme : catalogue(std::make_index_sequence<kInVirtualTime>{})) {
    SCOPED_TRACE(scheme_name(scheme));
    EnvironmentConfig config = lossy_config();
    config.flows[0].controller = scheme;
    // A session that draws lots does not wait: it acts at the very ends of the series' windows.
    const bool random = std::holds_alternative<RandomActions>(scheme);
    if (random) config.action_delay = ConstantDelay{Duration::zero()};
    const Comparison<> both(config);
    expect_same(both);
    if (!random) expect_same_series(both);
  }
}

TEST(HostedSession, MvfstsOwnSchemesAreMirroredThereAndRefusedInVirtualTime) {
  EnvironmentConfig config = lossy_config();
  EXPECT_EQ(mvfst_scheme(CubicConfig{}), std::nullopt);
  config.flows[0].controller = MvfstOwn<MvfstScheme::kBbr2>{};
  EXPECT_EQ(mvfst_scheme(config.flows[0].controller), MvfstScheme::kBbr2);
  const auto session = make_session(config, {});
  session->mirror_window(ByteCount(77'000));
  EXPECT_EQ(session->congestion_window(), ByteCount(77'000));
  const Value report = session_report(*session, config.flows[0], 0, TimePoint::zero());
  EXPECT_EQ(*report.find("scheme")->as<std::string>(), "mvfst_bbr2");
  try {
    const EnvironmentShared shared(config);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "flows[0].controller.kind: mvfst_bbr2 runs inside mvfst alone");
  }
}

}  // namespace
}  // namespace mvfstrl
