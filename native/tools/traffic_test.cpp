#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tools/traffic_arguments.h"
#include "tools/traffic_flow.h"
#include "tools/traffic_report.h"
#include "tools/traffic_test_files.h"

namespace mvfstrl::tools {
namespace {

using test::half_of;
using test::policy_of_another_spec;
using test::small_policy;
using test::TemporaryFile;

TrafficArguments parsed(std::vector<const char*> words) { return parse_traffic(words); }
TrafficArguments client(std::vector<const char*> words) {
  words.insert(words.begin(), {"--mode=client", "--insecure"});
  return parse_traffic(words);
}

std::string refusal(const std::vector<const char*>& words) {
  try {
    parse_traffic(words);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}
std::string client_refusal(std::vector<const char*> words) {
  words.insert(words.begin(), {"--mode=client", "--insecure"});
  return refusal(words);
}

TEST(TrafficArguments, AClientHasDefaults) {
  const TrafficArguments to = client({});
  EXPECT_EQ(to.mode, TrafficMode::kClient);
  EXPECT_EQ(to.host, "127.0.0.1");
  EXPECT_EQ(to.port, 4433);
  EXPECT_EQ(to.ca_file, "");
  EXPECT_EQ(to.duration, Duration::from_ms(10'000));
  EXPECT_EQ(to.interval, Duration::from_ms(1000));
  EXPECT_TRUE(std::holds_alternative<CubicConfig>(to.scheme));
  EXPECT_TRUE(std::holds_alternative<BulkApp>(to.traffic));
  EXPECT_EQ(to.pacing, Pacing::kAuto);
  EXPECT_FALSE(to.guard);
  EXPECT_FALSE(to.segmentation_offload);
  EXPECT_FALSE(to.json);
}

TEST(TrafficArguments, OfAClientAreTakenAsTheyAre) {
  const TrafficArguments to = parsed({"--mode",
                                      "client",
                                      "--host=::1",
                                      "--port",
                                      "9000",
                                      "--ca",
                                      "server.pem",
                                      "--congestion=mvfst_bbr2",
                                      "--traffic=on_off",
                                      "--on-ms=20",
                                      "--off-ms",
                                      "30.5",
                                      "--rate-mbps=12",
                                      "--regular",
                                      "--duration-s=2.5",
                                      "--interval-s=0",
                                      "--pacing=never",
                                      "--gso",
                                      "--qlog=logs",
                                      "--json",
                                      "--patience-s=3"});
  EXPECT_EQ(to.host, "::1");
  EXPECT_EQ(to.port, 9000);
  EXPECT_EQ(to.ca_file, "server.pem");
  EXPECT_EQ(mvfst_scheme(to.scheme), MvfstScheme::kBbr2);
  const auto& bursts = std::get<OnOffApp>(to.traffic);
  EXPECT_EQ(bursts.on, Duration::from_ms(20));
  EXPECT_EQ(bursts.off, Duration::from_us(30'500));
  EXPECT_EQ(bursts.rate, Bandwidth::from_mbps(12));
  EXPECT_FALSE(bursts.exponential);
  EXPECT_EQ(to.duration, Duration::from_ms(2500));
  EXPECT_EQ(to.interval, Duration::zero());
  EXPECT_EQ(to.pacing, Pacing::kNever);
  EXPECT_TRUE(to.segmentation_offload);
  EXPECT_EQ(to.qlog_folder, "logs");
  EXPECT_TRUE(to.json);
  EXPECT_EQ(to.patience, Duration::from_ms(3000));
}

TEST(TrafficArguments, ATransferLastsAsLongAsItTakes) {
  const TrafficArguments to = client({"--traffic=fixed", "--bytes=5000"});
  EXPECT_EQ(std::get<FixedSizeApp>(to.traffic).bytes, ByteCount(5000));
  EXPECT_FALSE(to.duration);
}

TEST(TrafficArguments, APolicyHasAGuardUnlessTold) {
  const TrafficArguments to =
      client({"--policy=p", "--fallback=copa", "--max-latency-ms=7", "--pinned-windows=5", "--return-after=3",
              "--max-return-after=9", "--job=2"});
  EXPECT_EQ(to.policy_file, "p");
  ASSERT_TRUE(to.guard);
  EXPECT_TRUE(std::holds_alternative<CopaConfig>(to.guard->fallback));
  EXPECT_EQ(to.guard->max_latency, Duration::from_ms(7));
  EXPECT_EQ(to.guard->pinned_windows, 5);
  EXPECT_EQ(to.guard->return_after, 3);
  EXPECT_EQ(to.guard->max_return_after, 9);
  EXPECT_EQ(to.job, 2);
  EXPECT_FALSE(client({"--policy=p", "--no-guard"}).guard);
}

TEST(TrafficArguments, OfAServerAreTakenAsTheyAre) {
  const TrafficArguments to = parsed({"--mode=server", "--port=0", "--certificate=c", "--key=k"});
  EXPECT_EQ(to.mode, TrafficMode::kServer);
  EXPECT_EQ(to.port, 0);
  EXPECT_EQ(to.certificate_file, "c");
  EXPECT_EQ(to.key_file, "k");
  EXPECT_FALSE(to.duration);
}

TEST(TrafficArguments, HelpTellsOfEveryScheme) {
  EXPECT_EQ(parsed({"--port=nonsense", "--help"}).mode, TrafficMode::kHelp);
  for (const std::string scheme : kSchemeKinds) {
    if (scheme == "external") continue;  // an agent's, which has to be a policy here
    EXPECT_NE(std::string(kTrafficHelp).find(scheme), std::string::npos) << scheme;
  }
}

TEST(TrafficArguments, NonsenseIsNamed) {
  EXPECT_EQ(refusal({}), "--mode: must be client or server; --help tells more");
  EXPECT_EQ(refusal({"--mode=both"}), "--mode: must be client or server, got 'both'");
  EXPECT_EQ(refusal({"--mode"}), "--mode: needs a value");
  EXPECT_EQ(refusal({"client"}), "no option 'client'; --help tells those there are");
  EXPECT_EQ(client_refusal({"--prot=3"}), "no option '--prot'; --help tells those there are");
  EXPECT_EQ(client_refusal({"--gso=yes"}), "--gso: takes no value");
  EXPECT_EQ(client_refusal({"--port=1", "--port=2"}), "--port: given twice");
  EXPECT_EQ(client_refusal({"--port=65536"}), "--port: must be at most 65535, got '65536'");
  EXPECT_EQ(client_refusal({"--port=-1"}), "--port: must be a number of at least 0, got '-1'");
  EXPECT_EQ(client_refusal({"--host=localhost"}), "--host: must be an IPv4 or IPv6 address, got 'localhost'");
  EXPECT_EQ(client_refusal({"--port=0"}), "--port: a client needs the server's");
  EXPECT_NE(client_refusal({"--congestion=reno"}).find("or mvfst_bbr2, got 'reno'"), std::string::npos);
  EXPECT_NE(client_refusal({"--congestion=external"}), "");
  EXPECT_NE(client_refusal({"--policy=p", "--fallback=random"}), "");
  EXPECT_EQ(client_refusal({"--bytes=5"}), "--bytes: belongs to --traffic fixed");
  EXPECT_EQ(client_refusal({"--traffic=fixed", "--bytes=0"}),
            "--bytes: must be a number of at least 1, got '0'");
  EXPECT_EQ(client_refusal({"--traffic=fixed", "--on-ms=5"}), "--on-ms: belongs to --traffic on_off");
  EXPECT_EQ(client_refusal({"--key=k"}), "--key: belongs to --mode=server");
}

TEST(TrafficArguments, NumbersHaveBounds) {
  EXPECT_EQ(client_refusal({"--duration-s=0"}),
            "--duration-s: must be a number from 0.001 to 100000000, got '0'");
  EXPECT_EQ(client_refusal({"--interval-s=1e-9"}),
            "--interval-s: must be 0, or a number from 0.01 to 100000000, got '1e-9'");
  EXPECT_EQ(client_refusal({"--policy=p", "--max-latency-ms=0"}),
            "--max-latency-ms: must be a number from 0.000001 to 1000000000, got '0'");
  for (const std::string option : {"--duration-s", "--interval-s", "--patience-s", "--on-ms", "--off-ms",
                                   "--rate-mbps", "--max-latency-ms"}) {
    for (const std::string number : {"1e300", "1e-300", "-1", "nan", "inf", "1s", ""}) {
      const std::string word = option + "=" + number;
      EXPECT_NE(client_refusal({"--traffic=on_off", "--policy=p", word.c_str()}).find("got '" + number + "'"),
                std::string::npos)
          << word;
    }
  }
  const TrafficArguments least =
      client({"--traffic=on_off", "--on-ms=0.001", "--off-ms=0.001", "--rate-mbps=0", "--interval-s=0.01"});
  EXPECT_EQ(std::get<OnOffApp>(least.traffic).on, Duration::from_us(1));
  EXPECT_EQ(std::get<OnOffApp>(least.traffic).rate, Bandwidth());
  EXPECT_EQ(least.interval, Duration::from_ms(10));
  EXPECT_EQ(client({"--duration-s=1e8"}).duration, Duration::from_seconds(1e8));
}

// An empty value, as of a shell's variable that is not set, is no leave to do without.
TEST(TrafficArguments, FilesHaveNames) {
  for (const char* option : {"--policy=", "--ca=", "--qlog="}) {
    EXPECT_EQ(client_refusal({option}), std::string(option, std::strlen(option) - 1) + ": names nothing");
  }
  EXPECT_EQ(refusal({"--mode=server", "--certificate", "", "--key="}), "--certificate: names nothing");
  EXPECT_EQ(refusal({"--mode=server", "--key="}), "--key: names nothing");
}

TEST(TrafficArguments, WhatDoesNotGoTogetherIsNamed) {
  EXPECT_EQ(refusal({"--mode=client"}),
            "--ca: name the certificate to trust, or trust any server with --insecure");
  EXPECT_EQ(client_refusal({"--ca=c"}),
            "--insecure: trusts any server, which makes --ca mean nothing; leave one out");
  EXPECT_EQ(refusal({"--mode=server", "--gso"}), "--gso: belongs to --mode=client");
  EXPECT_EQ(refusal({"--mode=server", "--key=k"}), "--key: needs its --certificate");
  EXPECT_EQ(refusal({"--mode=server", "--certificate=c"}), "--certificate: needs its --key");
  EXPECT_EQ(client_refusal({"--policy=p", "--congestion=cubic"}),
            "--congestion: --policy drives; leave one of the two out");
  EXPECT_EQ(client_refusal({"--fallback=cubic"}), "--fallback: belongs to --policy FILE");
  EXPECT_EQ(client_refusal({"--no-guard"}), "--no-guard: belongs to --policy FILE");
  EXPECT_EQ(client_refusal({"--policy=p", "--no-guard", "--return-after=3"}),
            "--return-after: belongs to a guard; leave out --no-guard");
  EXPECT_EQ(client_refusal({"--policy=p", "--return-after=9", "--max-return-after=3"}),
            "--max-return-after: must be at least return_after");
}

TEST(TrafficFlow, OfASchemeIsASessionOfIt) {
  const std::string folder = "--qlog=" + testing::TempDir();
  const TrafficFlow flow = make_traffic_flow(
      client({"--congestion=newreno", "--pacing=always", "--gso", folder.c_str(), "--port=9"}));
  EXPECT_STREQ(scheme_name(flow.config.controller), "newreno");
  EXPECT_FALSE(flow.sender.scheme);
  EXPECT_EQ(flow.sender.pacing, true);
  EXPECT_EQ(flow.sender.port, 9);
  EXPECT_EQ(flow.sender.qlog_folder, testing::TempDir());
  EXPECT_TRUE(flow.sender.segmentation_offload);
  EXPECT_EQ(flow.session->congestion_window(), ByteCount(12'520));
}

TEST(TrafficFlow, OverIpv6PacketsAreSmaller) {
  const TrafficFlow flow = make_traffic_flow(client({"--host=::1", "--congestion=mvfst_cubic"}));
  EXPECT_EQ(flow.sender.window.packet_size, ByteCount(1232));
  EXPECT_EQ(flow.sender.scheme, MvfstScheme::kCubic);
  EXPECT_EQ(flow.session->congestion_window(), ByteCount(12'320));
}

TEST(TrafficFlow, OfAPolicySeesAndDoesWhatItsFileSays) {
  const TemporaryFile file = small_policy("flow.mvfstrl");
  const std::string option = "--policy=" + file.path;
  const TrafficFlow guarded = make_traffic_flow(client({option.c_str(), "--pacing=always"}));
  EXPECT_EQ(guarded.session->observation().size(),
            static_cast<std::size_t>(read_policy_file(file.path).description.network.observation_size));
  EXPECT_NE(guarded.session->guard(), nullptr);
  EXPECT_EQ(guarded.sender.pacing, true);
  EXPECT_EQ(make_traffic_flow(client({option.c_str(), "--no-guard"})).session->guard(), nullptr);
}

std::string policy_refusal(const std::string& path, const char* job = "--job=-1") {
  try {
    const std::string option = "--policy=" + path;
    make_traffic_flow(client({option.c_str(), job}));
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(TrafficFlow, RefusesAPolicyThatCannotBeUsed) {
  const TemporaryFile whole = small_policy("whole.mvfstrl");
  EXPECT_EQ(policy_refusal(whole.path), "");
  const TemporaryFile torn = half_of(whole.path, "torn.mvfstrl");
  EXPECT_EQ(policy_refusal(torn.path).find(torn.path + ": torn: only "), 0U) << policy_refusal(torn.path);
  EXPECT_EQ(policy_refusal("no/such.mvfstrl"), "no/such.mvfstrl: cannot be read: No such file or directory");
  EXPECT_EQ(policy_refusal(testing::TempDir()), testing::TempDir() + ": cannot be read: Is a directory");
  const TemporaryFile shown = small_policy("jobs.mvfstrl", 2);
  EXPECT_EQ(policy_refusal(shown.path, "--job=1"), "");
  EXPECT_EQ(policy_refusal(shown.path, "--job=2").find("--job: "), 0U)
      << policy_refusal(shown.path, "--job=2");
}

TEST(TrafficFlow, RefusesAPolicyOfAnotherSpecAndSaysWhatDiffers) {
  const TemporaryFile seen = policy_of_another_spec("seen.mvfstrl", "rtt_min.mean", "rtt_max.mean");
  EXPECT_EQ(policy_refusal(seen.path),
            seen.path +
                ": made for another observation or action spec:\n"
                "missing elements: rtt_min.mean\nunexpected elements: rtt_max.mean\n");
  const TemporaryFile done = policy_of_another_spec("done.mvfstrl", "+10", "+20");
  EXPECT_EQ(policy_refusal(done.path).find(done.path + ": made for another observation or action spec:\n"),
            0U);
  EXPECT_NE(policy_refusal(done.path).find("+20"), std::string::npos) << policy_refusal(done.path);
}

TEST(TrafficFlow, RefusesAFolderForQlogsThatIsNone) {
  const auto error_of = [](const auto& make) -> std::string {
    try {
      make();
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(error_of([] { make_traffic_flow(client({"--qlog=no/such"})); }),
            "--qlog: there is no folder 'no/such'");
  EXPECT_EQ(error_of([] { receiver_options(parsed({"--mode=server", "--qlog=no/such"})); }),
            "--qlog: there is no folder 'no/such'");
}

TEST(TrafficFlow, OfAServerAreItsReceiversOptions) {
  const std::string folder = "--qlog=" + testing::TempDir();
  const ReceiverOptions options = receiver_options(
      parsed({"--mode=server", "--host=::1", "--port=9", "--certificate=c", "--key=k", folder.c_str()}));
  EXPECT_EQ(options.host, "::1");
  EXPECT_EQ(options.port, 9);
  EXPECT_EQ(options.certificate_file, "c");
  EXPECT_EQ(options.key_file, "k");
  EXPECT_EQ(options.qlog_folder, testing::TempDir());
}

TEST(TrafficReport, LinesTellWhatCameBetweenTwoLooks) {
  SenderProgress before;
  before.time = Duration::from_ms(1000);
  before.bytes_acked = ByteCount(1'000'000);
  const SenderProgress after{.time = Duration::from_ms(3000),
                             .bytes_acked = ByteCount(6'000'000),
                             .congestion_window = ByteCount(125'200),
                             .smoothed_rtt = Duration::from_us(40'250),
                             .packets_lost = 7};
  EXPECT_EQ(client_line(before, after),
            "   1.00-3.00           5.000    20.00       125.2     40.25        7");
  EXPECT_EQ(server_line(Duration::zero(), Duration::from_ms(1000), {},
                        {.connections = 3, .open = 2, .received = ByteCount(1'250'000)}),
            "   0.00-1.00           1.250    10.00      2             3");
}

TEST(TrafficReport, JsonIsExactAndEscaped) {
  const Value value(Value::Map{{"a\"b\\", Value(Value::List{true, std::int64_t{-3}, 0.1, Value()})},
                               {"nan", std::numeric_limits<double>::quiet_NaN()},
                               {"text", "line\n\x01"}});
  EXPECT_EQ(to_json(value), R"({"a\"b\\": [true, -3, 0.1, null], "nan": null, "text": "line\u000a\u0001"})");
}

TEST(TrafficReport, SummaryTellsOfTheSession) {
  const TemporaryFile file = small_policy("summary.mvfstrl");
  const std::string option = "--policy=" + file.path;
  const TrafficArguments arguments = client({option.c_str()});
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
  session.finish(TimePoint::from_ms(200));
  const Value summary = client_summary(
      arguments, session, flow.config, TimePoint::from_ms(200),
      {.p50 = Duration::from_us(2), .p99 = Duration::from_us(4), .max = Duration::from_us(7)},
      {.p50 = Duration::from_us(3), .p99 = Duration::from_us(5), .max = Duration::from_us(9)}, "duration");
  EXPECT_EQ(*summary.find("mode")->as<std::string>(), "client");
  EXPECT_EQ(*summary.find("policy")->as<std::string>(), file.path);
  EXPECT_DOUBLE_EQ(*summary.find("goodput_mbps")->as<double>(), 0.2);
  EXPECT_EQ(*summary.find("decisions")->as<std::int64_t>(), 1);
  EXPECT_NEAR(*summary.find("decision_latency_p50_us")->as<double>(), 1000, 10);
  EXPECT_EQ(*summary.find("deciding_p99_us")->as<double>(), 4);
  EXPECT_EQ(*summary.find("late_max_us")->as<double>(), 9);
  EXPECT_EQ(*summary.find("ended")->as<std::string>(), "duration");
  EXPECT_NE(summary.find("guard"), nullptr);
  const std::string text = told(summary);
  EXPECT_NE(text.find("throughput    0.200 Mbit/s: 0.005 MB acknowledged in 0.200 s"), std::string::npos)
      << text;
  EXPECT_NE(text.find("guard         fall-backs late 0"), std::string::npos) << text;
  EXPECT_NE(text.find("ended         duration"), std::string::npos) << text;
}

}  // namespace
}  // namespace mvfstrl::tools
