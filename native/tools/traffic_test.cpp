#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/traffic_arguments.h"
#include "tools/traffic_flow.h"
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
  EXPECT_EQ(parsed({"-h"}).mode, TrafficMode::kHelp);
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
  EXPECT_EQ(client_refusal({"--key=k"}), "--key: belongs to --mode=server");
  for (const std::string option : {"--pinned-windows", "--return-after", "--max-return-after"}) {
    EXPECT_EQ(client_refusal({"--policy=p", (option + "=0").c_str()}),
              option + ": must be a number of at least 1, got '0'");
  }
  EXPECT_EQ(client_refusal({"--policy=p", "--job=-2"}), "--job: must be a number of at least -1, got '-2'");
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
  EXPECT_NE(client_refusal({"--duration-s=100000001"}), "");
  EXPECT_EQ(client_refusal({"--traffic=on_off", "--rate-mbps=100001"}),
            "--rate-mbps: must be 0, or a number from 0.001 to 100000, got '100001'");
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
  for (const std::string option : {"--fallback=copa", "--max-latency-ms=1", "--pinned-windows=1",
                                   "--return-after=1", "--max-return-after=1"}) {
    const std::string name = option.substr(0, option.find('='));
    EXPECT_EQ(client_refusal({option.c_str()}), name + ": belongs to --policy FILE");
    EXPECT_EQ(client_refusal({"--policy=p", "--no-guard", option.c_str()}),
              name + ": belongs to a guard; leave out --no-guard");
  }
  for (const std::string option : {"--no-guard", "--job=1"}) {
    EXPECT_EQ(client_refusal({option.c_str()}),
              option.substr(0, option.find('=')) + ": belongs to --policy FILE");
  }
  for (const std::string option : {"--on-ms=5", "--off-ms=5", "--rate-mbps=5", "--regular"}) {
    for (const char* traffic : {"--traffic=bulk", "--traffic=fixed"}) {
      EXPECT_EQ(client_refusal({traffic, option.c_str()}),
                option.substr(0, option.find('=')) + ": belongs to --traffic on_off");
    }
  }
  EXPECT_EQ(client_refusal({"--traffic=on_off", "--bytes=5"}), "--bytes: belongs to --traffic fixed");
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

TEST(TrafficFlow, TheSenderHasWhatTheOptionsSay) {
  const SenderOptions sender = make_traffic_flow(parsed({"--mode=client", "--host=127.0.0.2", "--ca=c",
                                                         "--traffic=fixed", "--bytes=77"}))
                                   .sender;
  EXPECT_EQ(sender.host, "127.0.0.2");
  EXPECT_EQ(sender.ca_file, "c");
  EXPECT_EQ(std::get<FixedSizeApp>(sender.traffic).bytes, ByteCount(77));
  EXPECT_FALSE(sender.segmentation_offload);
  EXPECT_EQ(sender.pacing, std::nullopt);
}

// Whether packets have a pace, once there is a round-trip time.
bool paced(const std::vector<const char*>& words) {
  const TrafficFlow flow = make_traffic_flow(client(words));
  flow.session->start(TimePoint::zero());
  flow.session->packet_sent(TimePoint::zero(), {.number = 0, .size = ByteCount(1250)});
  flow.session->rtt_sample(Duration::from_ms(40), Duration::zero());
  flow.session->packet_acked(0);
  flow.session->flush(TimePoint::from_ms(40));
  return flow.session->pace().has_value();
}

TEST(TrafficFlow, PacesWhereItIsToldOrTheControllerWantsIt) {
  EXPECT_TRUE(paced({"--congestion=copa"}));
  EXPECT_FALSE(paced({"--congestion=copa", "--pacing=never"}));
  EXPECT_FALSE(paced({"--congestion=cubic"}));
  EXPECT_TRUE(paced({"--congestion=cubic", "--pacing=always"}));
  const TemporaryFile file = small_policy("paced.mvfstrl");
  const std::string option = "--policy=" + file.path;
  EXPECT_FALSE(paced({option.c_str()}));
  EXPECT_TRUE(paced({option.c_str(), "--pacing=always"}));
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
  EXPECT_EQ(policy_refusal(shown.path, "--job=2").find("--job: must be -1 (not known) or "), 0U)
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
  const TemporaryFile file("no_folder", "");
  EXPECT_EQ(error_of([&] { make_traffic_flow(client({("--qlog=" + file.path).c_str()})); }),
            "--qlog: there is no folder '" + file.path + "'");
  const std::string locked = testing::TempDir() + "/locked-" + std::to_string(getpid());
  std::filesystem::create_directory(locked);
  std::filesystem::permissions(locked, std::filesystem::perms::none);
  const uid_t root = geteuid();
  ASSERT_EQ(seteuid(root == 0 ? 65534 : root), 0);  // root may write anywhere
  EXPECT_EQ(error_of([&] { make_traffic_flow(client({("--qlog=" + locked).c_str()})); }),
            "--qlog: nothing can be written to '" + locked + "'");
  ASSERT_EQ(seteuid(root), 0);
  std::filesystem::remove(locked);
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

}  // namespace
}  // namespace mvfstrl::tools
