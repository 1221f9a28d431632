// Real mvfst on loopback.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "host/policy_session.h"
#include "mvfst/receiver.h"
#include "mvfst/sender.h"
#include "mvfst/test_flow.h"
#include "policy/test_network.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kTransfer{30'000'000};  // takes longer than a window

double difference_ms(Duration a, Duration b) { return std::abs((a - b).to_ms()); }

// The session's books beside mvfst's own, which have the handshake besides.
TEST(MvfstSender, TheSessionCountsWhatMvfstCounts) {
  for (const ControllerConfig& controller :
       {ControllerConfig(NewRenoConfig{}), ControllerConfig(CubicConfig{}), ControllerConfig(BbrConfig{}),
        ControllerConfig(CopaConfig{})}) {
    SCOPED_TRACE(controller_name(controller));
    MvfstReceiver receiver({});
    MvfstSender sender(options_to(receiver), session_of(controller));
    flow_for(sender, 400);
    sender.finish();
    EXPECT_EQ(sender.ended(), std::nullopt);
    const PacketLedger& ledger = sender.session().ledger();
    const ConnectionStats& stats = ledger.stats();
    const TransportCounts counts = sender.transport_counts();
    EXPECT_GT(stats.packets_acked, 20U);
    EXPECT_EQ(counts.congestion_window, sender.session().congestion_window());
    EXPECT_EQ(counts.bytes_in_flight, stats.bytes_in_flight);
    EXPECT_EQ(counts.probe_timeouts, stats.total_pto_count);
    EXPECT_EQ(counts.packets_lost, stats.packets_lost);
    EXPECT_EQ(counts.stream_bytes_retransmitted, stats.bytes_retransmitted);
    EXPECT_GE(counts.packets_sent, stats.packets_sent);  // pure ACKs and the handshake are not the session's
    EXPECT_LE(counts.packets_sent, stats.packets_sent + 20);
    // mvfst cuts to whole microseconds at every step, which adds up to 8 of them, and 12 in the variation.
    EXPECT_LE(difference_ms(counts.smoothed_rtt, ledger.rtt().smoothed()), 0.01);
    EXPECT_LE(difference_ms(counts.rtt_variation, ledger.rtt().variation()), 0.02);
    EXPECT_EQ(counts.latest_rtt, ledger.rtt().latest());
    EXPECT_EQ(counts.min_rtt, ledger.rtt().min());
    EXPECT_EQ(ledger.counters().unknown, 0);
    EXPECT_EQ(ledger.counters().misnumbered, 0);
    EXPECT_GT(receiver.totals().received, ByteCount(20'000));
  }
}

TEST(MvfstSender, MvfstsOwnControllersDriveAndTheSessionSeesTheirWindow) {
  for (const MvfstScheme scheme : {MvfstScheme::kNewReno, MvfstScheme::kCubic, MvfstScheme::kCopa,
                                   MvfstScheme::kBbr, MvfstScheme::kBbr2}) {
    SCOPED_TRACE(kMvfstSchemeNames[static_cast<std::size_t>(scheme)]);
    MvfstReceiver receiver({});
    SenderOptions options = options_to(receiver);
    options.scheme = scheme;
    SessionConfig config;
    config.mirror = true;
    MvfstSender sender(options, std::make_unique<Session>(config));
    flow_for(sender, 350);
    sender.finish();
    EXPECT_EQ(sender.ended(), std::nullopt);
    EXPECT_GT(sender.session().ledger().stats().packets_acked, 20U);
    EXPECT_EQ(sender.transport_counts().congestion_window, sender.session().congestion_window());
    EXPECT_GE(sender.session().observation_number(), 3);
  }
}

TEST(MvfstSender, ATransferThatHasArrivedIsCompleteAndTerminates) {
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.traffic = FixedSizeApp{.bytes = kTransfer};
  MvfstSender sender(options, session_of(CubicConfig{}));
  flow_for(sender, 20'000);
  EXPECT_TRUE(sender.complete());
  sender.finish();
  EXPECT_TRUE(sender.session().step().terminated);
  EXPECT_EQ(receiver.totals().received, kTransfer);
}

TEST(MvfstSender, AnOnOffApplicationSendsAtItsRate) {
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.traffic = OnOffApp{.on = Duration::from_ms(100),
                             .off = Duration::from_ms(100),
                             .exponential = false,
                             .rate = Bandwidth::from_mbps(4)};
  MvfstSender sender(options, session_of(CubicConfig{}));
  flow_for(sender, 600);
  const double mbit = sender.progress().bytes_acked.value() * 8e-6;
  sender.finish();
  EXPECT_GT(mbit, 0.8);  // of 1.2 in 300 ms of 600
  EXPECT_LT(mbit, 1.4);
}

TEST(MvfstSender, AnAgentIsAskedAndNeverWaitedFor) {
  MvfstReceiver receiver({});
  MvfstSender sender(options_to(receiver), std::make_unique<Session>(SessionConfig{}));
  sender.connect(kPatience);
  sender.start();
  Question question;
  ASSERT_TRUE(sender.wait(kPatience));
  ASSERT_TRUE(sender.take_question(question));
  EXPECT_TRUE(question.step.first);
  EXPECT_FALSE(sender.take_question(question));
  const ByteCount before = sender.progress().bytes_acked;
  std::this_thread::sleep_for(std::chrono::milliseconds(250));  // two windows end meanwhile
  EXPECT_GT(sender.progress().bytes_acked, before);
  const ByteCount window = sender.progress().congestion_window;
  sender.answer(4);
  ASSERT_TRUE(sender.wait(kPatience));
  ASSERT_TRUE(sender.take_question(question));
  EXPECT_GE(question.step.skipped, 1);
  EXPECT_EQ(sender.progress().congestion_window, window * 2);
  sender.finish();
  EXPECT_TRUE(sender.session().step().truncated);
}

TEST(MvfstSender, AnExportedPolicyDecidesInTheSenderUnderItsGuard) {
  const NetworkDescription network{.layers = 1, .hidden_size = 16, .lstm_layers = 1};
  const auto model = std::make_shared<PolicyModel>(test::random_policy(network), PolicyOptions{});
  for (const bool impatient : {false, true}) {
    MvfstReceiver receiver({});
    GuardConfig guard;
    if (impatient) guard.max_latency = Duration::from_ns(1);
    MvfstSender sender(options_to(receiver), make_policy_session(model, ByteCount(1252), guard));
    flow_for(sender, 650);
    sender.finish();
    EXPECT_EQ(sender.ended(), std::nullopt);
    const Guard* const seen = sender.session().guard();
    ASSERT_NE(seen, nullptr);
    EXPECT_GE(seen->counters().decisions, 4);
    EXPECT_EQ(seen->counters().fallbacks[static_cast<std::size_t>(GuardReason::kLate)] > 0, impatient);
    EXPECT_EQ(sender.session().account().skipped(), 0);
    // An answer that is given up is never computed.
    EXPECT_EQ(sender.decision_times().p50 > Duration::zero(), !impatient);
    EXPECT_LE(sender.decision_times().p50, sender.decision_times().max);
  }
}

TEST(MvfstSender, PacketsOverIPv6) {
  MvfstReceiver receiver({.host = "::1"});
  SenderOptions options = options_to(receiver);
  options.host = "::1";
  options.window.packet_size = ByteCount(1232);
  MvfstSender sender(options, session_of(CubicConfig{}));
  flow_for(sender, 200);
  sender.finish();
  EXPECT_GT(receiver.totals().received, ByteCount(20'000));
}

TEST(MvfstSender, PacketsHaveTheSizeThatWasAskedFor) {
  for (const std::int64_t size : {1200, 1452}) {
    MvfstReceiver receiver({});
    SenderOptions options = options_to(receiver);
    options.window.packet_size = ByteCount(size);
    MvfstSender sender(options, session_of(CubicConfig{}));
    flow_for(sender, 200);
    sender.finish();
    const TransportCounts counts = sender.transport_counts();
    ASSERT_GT(counts.packets_sent, 200U);
    const double mean =
        static_cast<double>(counts.bytes_sent.value()) / static_cast<double>(counts.packets_sent);
    EXPECT_NEAR(mean, static_cast<double>(size), 30) << "but for the handshake's, and for ends of turns";
  }
  for (const std::int64_t size : {1199, 1453}) {
    MvfstReceiver receiver({});
    SenderOptions options = options_to(receiver);
    options.window.packet_size = ByteCount(size);
    try {
      MvfstSender(options, session_of(CubicConfig{}));
      FAIL() << "no complaint about " << size;
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(error.what(), "transport.window.packet_size_bytes: " + std::to_string(size) +
                                  ": mvfst's packets have 1200 to 1452 bytes");
    }
  }
}

TEST(MvfstSender, LogsAConnectionWhereThatIsWanted) {
  const auto folder = std::filesystem::temp_directory_path() / ("mvfstrl-qlog-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  {
    MvfstReceiver receiver({});
    SenderOptions options = options_to(receiver);
    options.qlog_folder = folder;
    MvfstSender sender(options, session_of(CubicConfig{}));
    flow_for(sender, 100);
  }
  std::size_t logs = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    EXPECT_EQ(file.path().extension(), ".qlog");
    EXPECT_GT(file.file_size(), 1000U);
    ++logs;
  }
  EXPECT_EQ(logs, 1U);
  std::filesystem::remove_all(folder);
}

TEST(MvfstSender, NobodyThereIsAnErrorThatNamesTheAddress) {
  std::uint16_t port = 0;
  {
    const MvfstReceiver receiver({});
    port = receiver.port();
  }
  SenderOptions options;
  options.port = port;
  MvfstSender sender(options, session_of(CubicConfig{}));
  const std::string error = error_of([&] { sender.connect(Duration::from_ms(500)); });
  EXPECT_NE(error.find("127.0.0.1 port " + std::to_string(port)), std::string::npos) << error;
}

TEST(MvfstSender, AReceiverThatGoesEndsTheConnection) {
  auto receiver = std::make_unique<MvfstReceiver>(ReceiverOptions{});
  MvfstSender sender(options_to(*receiver), session_of(CubicConfig{}));
  flow_for(sender, 100);
  EXPECT_EQ(sender.ended(), std::nullopt);
  receiver = nullptr;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!sender.ended() && std::chrono::steady_clock::now() < end) sender.wait(Duration::from_ms(50));
  ASSERT_TRUE(sender.ended().has_value());
  EXPECT_FALSE(sender.ended()->empty());
  EXPECT_FALSE(sender.complete());
  sender.finish();
  EXPECT_TRUE(sender.session().step().truncated);
}

TEST(MvfstSender, AnApplicationThatMakesNoSenseIsNamed) {
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.traffic = FixedSizeApp{.bytes = ByteCount::zero()};
  EXPECT_EQ(error_of([&] { MvfstSender(options, session_of(CubicConfig{})); }), "app bytes must be positive");
}

TEST(MvfstSender, ACertificateThatIsNotTrustedIsRefused) {
  const auto file = std::filesystem::temp_directory_path() / ("mvfstrl-ca-" + std::to_string(::getpid()));
  std::ofstream(file) << "no certificate\n";
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.ca_file = file;
  std::string error = error_of([&] { MvfstSender(options, session_of(CubicConfig{})); });
  EXPECT_NE(error.find(file.string()), std::string::npos) << error;
  options.ca_file = "/etc/ssl/certs/ca-certificates.crt";
  if (std::filesystem::exists(options.ca_file)) {
    MvfstSender sender(options, session_of(CubicConfig{}));
    error = error_of([&] { sender.connect(kPatience); });
    EXPECT_NE(error.find("certificate"), std::string::npos) << error;
  }
  options.host = "localhost";
  error = error_of([&] { MvfstSender(options, session_of(CubicConfig{})); });
  EXPECT_NE(error.find("localhost"), std::string::npos) << error;
  options.host = "127.0.0.1";
  options.ca_file = "no/such/file.pem";
  error = error_of([&] { MvfstSender(options, session_of(CubicConfig{})); });
  EXPECT_NE(error.find("no/such/file.pem"), std::string::npos) << error;
  std::filesystem::remove(file);
}

TEST(MvfstReceiver, NamesWhatItCannotUse) {
  EXPECT_NE(error_of([] { MvfstReceiver({.host = "203.0.113.7"}); }).find("203.0.113.7"), std::string::npos);
  EXPECT_NE(error_of([] { MvfstReceiver({.host = "localhost.."}); }).find("localhost.."), std::string::npos);
  EXPECT_NE(error_of([] { MvfstReceiver({.certificate_file = "a.pem"}); }).find("key"), std::string::npos);
  EXPECT_NE(error_of([] { MvfstReceiver({.certificate_file = "a.pem", .key_file = "b.pem"}); }).find("a.pem"),
            std::string::npos);
}

}  // namespace
}  // namespace mvfstrl
