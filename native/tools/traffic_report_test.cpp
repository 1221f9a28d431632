#include "tools/traffic_report.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tools/traffic_arguments.h"
#include "tools/traffic_flow.h"
#include "tools/traffic_test_files.h"

namespace mvfstrl::tools {
namespace {

TEST(TrafficReport, LinesTellWhatCameBetweenTwoLooks) {
  SenderProgress before;
  before.time = Duration::from_ms(1000);
  before.bytes_acked = ByteCount(1'000'000);
  before.packets_lost = 2;
  const SenderProgress after{.time = Duration::from_ms(3000),
                             .bytes_acked = ByteCount(6'000'000),
                             .congestion_window = ByteCount(125'200),
                             .smoothed_rtt = Duration::from_us(40'250),
                             .packets_lost = 9};
  EXPECT_EQ(client_line(before, after),
            "   1.00-3.00           5.000    20.00       125.2     40.25        7");
  EXPECT_EQ(server_line(Duration::zero(), Duration::from_ms(1000), {},
                        {.connections = 3, .open = 2, .received = ByteCount(1'250'000)}),
            "   0.00-1.00           1.250    10.00      2             3");
}

TEST(TrafficReport, JsonIsExactAndEscaped) {
  const Value value(Value::Map{{"a\"b\\", Value(Value::List{true, std::int64_t{-3}, 0.1, Value()})},
                               {"nan", std::numeric_limits<double>::quiet_NaN()},
                               {"text", "line\n\x1f "}});
  EXPECT_EQ(to_json(value), R"({"a\"b\\": [true, -3, 0.1, null], "nan": null, "text": "line\u000a\u001f "})");
}

// Two windows of a policy, decided 1 ms and 6 ms late.
TEST(TrafficReport, SummaryTellsOfTheSession) {
  const test::TemporaryFile file = test::small_policy("summary.mvfstrl");
  const std::string option = "--policy=" + file.path;
  const std::vector<const char*> words{"--mode=client", "--insecure", "--port=9", option.c_str()};
  const TrafficArguments arguments = parse_traffic(words);
  TrafficFlow flow = make_traffic_flow(arguments);
  Session& session = *flow.session;
  session.start(TimePoint::zero());
  for (std::uint64_t number = 0; number < 4; ++number) {
    session.packet_sent(TimePoint::zero(), {.number = number, .size = ByteCount(1250)});
  }
  session.rtt_sample(Duration::from_ms(40), Duration::zero());
  for (std::uint64_t number = 0; number < 4; ++number) session.packet_acked(number);
  session.flush(TimePoint::from_ms(40));
  session.poll(TimePoint::from_ms(101));
  session.poll(TimePoint::from_ms(206));
  session.finish(TimePoint::from_ms(250));
  const Value summary = client_summary(
      arguments, session, flow.config, TimePoint::from_ms(250),
      {.p50 = Duration::from_us(2), .p99 = Duration::from_us(4), .max = Duration::from_us(7)},
      {.p50 = Duration::from_us(3), .p99 = Duration::from_us(5), .max = Duration::from_us(9)}, "duration");
  EXPECT_EQ(*summary.find("mode")->as<std::string>(), "client");
  EXPECT_EQ(*summary.find("host")->as<std::string>(), "127.0.0.1");
  EXPECT_EQ(*summary.find("port")->as<std::int64_t>(), 9);
  EXPECT_EQ(*summary.find("policy")->as<std::string>(), file.path);
  EXPECT_EQ(summary.find("flow"), nullptr) << "there is but one";
  EXPECT_DOUBLE_EQ(*summary.find("goodput_mbps")->as<double>(), 0.16);
  EXPECT_EQ(*summary.find("decisions")->as<std::int64_t>(), 2);
  EXPECT_NEAR(*summary.find("decision_latency_p50_us")->as<double>(), 1000, 10);
  EXPECT_NEAR(*summary.find("decision_latency_p99_us")->as<double>(), 6000, 60);
  const std::vector<std::pair<const char*, double>> timings{{"deciding_p50_us", 2}, {"deciding_p99_us", 4},
                                                            {"deciding_max_us", 7}, {"late_p50_us", 3},
                                                            {"late_p99_us", 5},     {"late_max_us", 9}};
  for (const auto& [key, us] : timings) EXPECT_DOUBLE_EQ(*summary.find(key)->as<double>(), us) << key;
  EXPECT_EQ(*summary.find("ended")->as<std::string>(), "duration");
  EXPECT_NE(summary.find("guard"), nullptr);
}

TEST(TrafficReport, WindowsThatNobodyAnsweredAreCounted) {
  Session session(SessionConfig{});  // an agent's
  session.start(TimePoint::zero());
  for (const int ms : {101, 201, 301}) session.poll(TimePoint::from_ms(ms));
  session.finish(TimePoint::from_ms(320));
  const Value summary = client_summary({}, session, {}, TimePoint::from_ms(320), {}, {}, "lost");
  const std::int64_t skipped = *summary.find("skipped_observations")->as<std::int64_t>();
  EXPECT_GT(skipped, 0);
  EXPECT_EQ(*summary.find("windows")->as<std::int64_t>(),
            *summary.find("steps")->as<std::int64_t>() + skipped);
  EXPECT_EQ(summary.find("policy"), nullptr);
}

// Numbers that nothing else has, to see where each goes.
Value::Map driven_by_a_scheme() {
  return {{"mode", "client"},
          {"scheme", "copa"},
          {"goodput_mbps", 1.25},
          {"acked_bytes", std::int64_t{3'500'000}},
          {"length_ms", 4750.0},
          {"rtt_smoothed_ms", 5.125},
          {"rtt_min_ms", 6.25},
          {"lost_packets", std::int64_t{7}},
          {"sent_packets", std::int64_t{800}},
          {"loss", 0.0095},
          {"probe_timeouts", std::int64_t{10}},
          {"congestion_window_bytes", std::int64_t{11'250}},
          {"windows", std::int64_t{12}},
          {"skipped_observations", std::int64_t{13}},
          {"return", -14.5},
          {"ended", "complete"}};
}

TEST(TrafficReport, PeopleAreToldAFactALine) {
  EXPECT_EQ(told(Value(driven_by_a_scheme())), R"(
driven by     copa
throughput    1.250 Mbit/s: 3.500 MB acknowledged in 4.750 s
rtt           5.125 ms smoothed, 6.250 ms at least
losses        7 of 800 packets (0.9500 %), 10 probe timeouts
window        11.250 kB at the end
observations  12 windows, 13 of them skipped; return -14.5000
ended         complete
)");
}

TEST(TrafficReport, PeopleAreToldOfAPolicysDecisionsAndItsGuard) {
  Value::Map summary = driven_by_a_scheme();
  summary.emplace_back("policy", "p.mvfstrl");
  summary.emplace_back("decisions", std::int64_t{15});
  summary.emplace_back("decision_latency_p50_us", 16.5);
  summary.emplace_back("decision_latency_p99_us", 17.5);
  summary.emplace_back("deciding_p50_us", 18.5);
  summary.emplace_back("deciding_p99_us", 19.5);
  const Value::Map reasons{{"late", std::int64_t{20}}, {"pinned", std::int64_t{21}}};
  summary.emplace_back("guard", Value(Value::Map{{"fallbacks", Value(reasons)},
                                                 {"returns", std::int64_t{22}},
                                                 {"fallback_share", 0.2325}}));
  const std::string text = told(Value(summary));
  EXPECT_EQ(text.find("\ndriven by     p.mvfstrl\n"), 0U) << text;
  EXPECT_NE(
      text.find(
          "\ndecisions     15; 16.5 us after their windows at the median, 17.5 us at the 99th percentile;\n"
          "              the policy took 18.5 us of it, and 19.5 us\n"
          "guard         fall-backs late 20 pinned 21; 22 returns, 23.2 % of the time in the fall-back's "
          "hands\n"
          "ended         complete\n"),
      std::string::npos)
      << text;
}

TEST(TrafficReport, AServersSummaryTellsOfAllItsConnections) {
  const std::vector<const char*> words{"--mode=server", "--host=::1", "--port=0"};
  const Value summary = server_summary(parse_traffic(words), 4711, Duration::from_ms(2500),
                                       {.connections = 3, .open = 2, .received = ByteCount(1'250'000)});
  EXPECT_EQ(
      to_json(summary),
      R"({"mode": "server", "host": "::1", "port": 4711, "length_ms": 2500, "connections": 3, "open": 2, )"
      R"("received_bytes": 1250000, "throughput_mbps": 4})");
  EXPECT_EQ(told(summary), "\nreceived      1.250 MB in 2.500 s (4.000 Mbit/s) over 3 connections\n");
}

}  // namespace
}  // namespace mvfstrl::tools
