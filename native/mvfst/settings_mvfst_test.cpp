// What a sender's options and settings make of real mvfst.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "mvfst/receiver.h"
#include "mvfst/sender.h"
#include "mvfst/test_flow.h"

namespace mvfstrl {
namespace {

std::unique_ptr<Session> mirror() {
  SessionConfig config;
  config.mirror = true;
  return std::make_unique<Session>(config);
}

// The sender's qlog of a flow.
std::string logged(SenderOptions options, std::unique_ptr<Session> session, std::int64_t ms) {
  const auto folder = std::filesystem::temp_directory_path() / ("mvfstrl-logged-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  options.qlog_folder = folder;
  {
    MvfstSender sender(options, std::move(session));
    flow_for(sender, ms);
    sender.finish();
    EXPECT_EQ(sender.ended(), std::nullopt);
  }
  std::ostringstream text;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    text << std::ifstream(file.path()).rdbuf();
  }
  std::filesystem::remove_all(folder);
  EXPECT_NE(text.str().find("packet_sent"), std::string::npos);
  return text.str();
}

TEST(MvfstSettings, MvfstsOwnKeepTheWindowsLimits) {
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.scheme = MvfstScheme::kCubic;
  options.window.initial_packets = 200;
  {
    MvfstSender sender(options, mirror());
    sender.connect(kPatience);
    EXPECT_GE(sender.progress().congestion_window, ByteCount(200 * 1252));
  }
  options.window.initial_packets = 5;
  options.window.maximum_packets = 7;
  MvfstSender sender(options, mirror());
  flow_for(sender, 200);
  EXPECT_EQ(sender.progress().congestion_window, ByteCount(7 * 1252));
}

TEST(MvfstSettings, PacketsArePacedWhereThatIsWanted) {
  MvfstReceiver receiver({});
  const auto paced = [&](const ControllerConfig& controller, std::optional<bool> wanted) {
    SenderOptions options = options_to(receiver);
    options.pacing = wanted;
    SessionConfig config;
    config.controller = controller;
    config.pacing = wanted;
    return logged(options, std::make_unique<Session>(config), 100).find("pacing_metric_update") !=
           std::string::npos;
  };
  EXPECT_FALSE(paced(CubicConfig{}, std::nullopt));
  EXPECT_TRUE(paced(CubicConfig{}, true));
  EXPECT_TRUE(paced(CopaConfig{}, std::nullopt));
  EXPECT_FALSE(paced(CopaConfig{}, false));
  const auto own_paced = [&](MvfstScheme scheme) {
    SenderOptions options = options_to(receiver);
    options.scheme = scheme;
    return logged(options, mirror(), 100).find("pacing_metric_update") != std::string::npos;
  };
  EXPECT_FALSE(own_paced(MvfstScheme::kCubic));
  EXPECT_TRUE(own_paced(MvfstScheme::kCopa));
}

TEST(MvfstSettings, FlowControlNeverBinds) {
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.traffic =
      FixedSizeApp{.bytes = ByteCount(5'000'000)};  // a default would have to be raised meanwhile
  const std::string log = logged(options, session_of(CubicConfig{}), 10'000);
  EXPECT_EQ(receiver.totals().received, ByteCount(5'000'000));
  for (const char* frame :
       {"\"max_data\"", "\"max_stream_data\"", "\"data_blocked\"", "\"stream_data_blocked\""}) {
    EXPECT_EQ(log.find(frame), std::string::npos) << frame;
  }
}

// An application that falls silent has left no more to its transport than a window and a little.
TEST(MvfstSettings, ASilentApplicationSendsNothing) {
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.traffic = OnOffApp{
      .on = Duration::from_ms(150), .off = Duration::from_ms(60'000), .exponential = false, .rate = {}};
  MvfstSender sender(options, session_of(FixedConfig{}));
  flow_for(sender, 250);
  const ByteCount sent = sender.progress().bytes_acked;
  EXPECT_GT(sent, ByteCount(200'000));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(sender.progress().bytes_acked, sent);
}

TEST(MvfstReceiver, CountsItsConnections) {
  MvfstReceiver receiver({});
  for (std::uint64_t number = 1; number <= 2; ++number) {
    {
      MvfstSender sender(options_to(receiver), session_of(CubicConfig{}));
      flow_for(sender, 50);
      EXPECT_EQ(receiver.totals().connections, number);
      EXPECT_EQ(receiver.totals().open, 1U);
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (receiver.totals().open > 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(receiver.totals().open, 0U);
  }
}

TEST(MvfstSender, SaysHowLateItCameToItsTimers) {
  MvfstReceiver receiver({});
  SenderOptions options = options_to(receiver);
  options.traffic = OnOffApp{
      .on = Duration::from_ms(20), .off = Duration::from_ms(60'000), .exponential = false, .rate = {}};
  MvfstSender sender(options, std::make_unique<Session>(SessionConfig{}));
  sender.connect(kPatience);
  sender.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(350));  // in silence windows end by themselves
  sender.finish();
  const Percentiles late = sender.lateness();
  EXPECT_GT(late.max, Duration::zero());
  EXPECT_LE(late.p50, late.p99);
  EXPECT_LE(late.p99, late.max);
  EXPECT_EQ(sender.decision_times().max, Duration::zero()) << "nobody has decided";
}

}  // namespace
}  // namespace mvfstrl
