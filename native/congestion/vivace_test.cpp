#include "congestion/vivace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include "congestion/test_sender.h"

namespace mvfstrl {
namespace {

constexpr Duration kRtt = Duration::from_ms(60);
constexpr double kInitialMbps = 10 * 1252 * 8 / 60e3;
constexpr std::int64_t kPerAck = 10;

// Sends at the rate that the controller names over a link whose queue grows and drains as the rates have it.
class Story {
 public:
  explicit Story(std::uint64_t seed = 1, const VivaceConfig& config = {})
      : vivace_(config, WindowLimits{}, Rng(seed)), sender_(vivace_) {
    sender_.send(kPerAck);
    sender_.advance(kRtt);
    sender_.ack(kPerAck, kRtt);
  }

  // Sends ten packets in their time, and hands in the ACKs that have come meanwhile.
  void step() {
    const double mbps = pacing();
    const Duration gap = Bandwidth::from_mbps(mbps).transfer_time(ByteCount(1252) * kPerAck);
    queue_ = std::max(0.0, queue_ + gap.to_ms() * (mbps / capacity - 1));
    sender_.advance(gap);
    sender_.send(kPerAck, app_limited);
    const Duration rtt = kRtt + Duration::from_ms_f(queue_);
    under_way_.push_back({sender_.now() + rtt, rtt, loss ? loss(mbps) : 0});
    while (under_way_.front().due <= sender_.now()) {
      const Flight flight = under_way_.front();
      under_way_.pop_front();
      sender_.lose_and_ack(flight.lost, kPerAck - flight.lost, flight.rtt);
      note();
    }
  }
  void steps(int count) {
    for (; count > 0; --count) step();
  }
  // Until the rate around which it tries has changed so many times.
  void changes(std::size_t count) {
    const std::size_t target = rates.size() + count;
    for (int i = 0; i < 20'000 && rates.size() < target; ++i) step();
    ASSERT_EQ(rates.size(), target);
  }
  // Loses everything of one round trip while starting, which ends that.
  void leave_starting() {
    loss = [](double) { return std::int64_t{5}; };
    while (vivace_.starting()) step();
    loss = nullptr;
    steps(200);
    rates = {vivace_.rate_mbps()};
  }

  void add_queue(double ms) { queue_ += ms; }
  double pacing() const { return vivace_.pacing_rate()->to_mbps(); }
  Vivace& vivace() { return vivace_; }
  TestSender& sender() { return sender_; }

  double capacity = std::numeric_limits<double>::infinity();
  bool app_limited = false;
  std::function<std::int64_t(double)> loss;  // packets of ten, by the rate that they are sent at
  std::vector<double> rates;                 // each rate of its own that it had
  std::vector<double> tried;                 // each rate that it sent at

 private:
  struct Flight {
    TimePoint due;
    Duration rtt;
    std::int64_t lost;
  };
  void note() {
    if (rates.empty() || rates.back() != vivace_.rate_mbps()) rates.push_back(vivace_.rate_mbps());
    if (tried.empty() || tried.back() != pacing()) tried.push_back(pacing());
  }

  Vivace vivace_;
  TestSender sender_;
  std::deque<Flight> under_way_;
  double queue_ = 0;
};

// The gradient of the utility without loss or queue, as a pair of trials around `mbps` sees it.
double clean_gradient(const Vivace& vivace, double mbps) {
  return (vivace.utility(1.05 * mbps, 0, 0) - vivace.utility(0.95 * mbps, 0, 0)) / (0.1 * mbps);
}

TEST(Vivace, UtilityIsThatOfEquationOne) {
  const Vivace vivace(VivaceConfig{}, WindowLimits{}, Rng());
  EXPECT_DOUBLE_EQ(vivace.utility(10, 0, 0), std::pow(10, 0.9));
  EXPECT_DOUBLE_EQ(vivace.utility(10, 0.02, 0.01), std::pow(10, 0.9) - 900 * 10 * 0.02 - 11.35 * 10 * 0.01);
  EXPECT_GT(vivace.utility(10, -0.02, 0), vivace.utility(10, 0, 0)) << "a queue that drains is a gain";
}

TEST(Vivace, NamesNoRateBeforeThereIsAnRtt) {
  const Vivace vivace(VivaceConfig{}, WindowLimits{}, Rng());
  EXPECT_TRUE(vivace.wants_pacing());
  EXPECT_FALSE(vivace.pacing_rate().has_value());
  EXPECT_EQ(vivace.congestion_window(), WindowLimits{}.initial());
}

TEST(Vivace, StartsWithTheInitialWindowARoundTrip) {
  Story story;
  EXPECT_TRUE(story.vivace().starting());
  EXPECT_NEAR(story.pacing(), kInitialMbps, 1e-9);
}

TEST(Vivace, DoublesWhileUtilityRises) {
  Story story;
  story.changes(4);
  EXPECT_TRUE(story.vivace().starting());
  for (std::size_t i = 1; i < story.rates.size(); ++i)
    EXPECT_DOUBLE_EQ(story.rates[i], 2 * story.rates[i - 1]);
}

// 1.7, 3.3, 6.7, 13 Mbit/s: the queue grows from there on.
TEST(Vivace, StopsDoublingWhenTheQueueGrowsAndGoesBack) {
  Story story;
  story.capacity = 12;
  for (int i = 0; i < 500 && story.vivace().starting(); ++i) story.step();
  EXPECT_FALSE(story.vivace().starting());
  EXPECT_DOUBLE_EQ(story.vivace().rate_mbps(), 4 * kInitialMbps);
}

TEST(Vivace, TheWindowHoldsTwoRoundTripsOfTheRate) {
  Story story;
  story.leave_starting();
  story.steps(50);
  EXPECT_NEAR(static_cast<double>(story.vivace().congestion_window().value()),
              2 * story.pacing() * 1e6 / 8 * kRtt.to_seconds(), 2);
}

TEST(Vivace, TriesBothSidesInRandomOrder) {
  std::set<bool> higher_first;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Story story(seed);
    story.leave_starting();
    story.changes(1);
    story.tried.clear();
    story.changes(1);
    const double own = story.rates[story.rates.size() - 2];
    std::vector<double> trials;
    for (const double mbps : story.tried) {
      if (std::abs(mbps / own - 1) > 0.04) trials.push_back(mbps / own);
    }
    ASSERT_GE(trials.size(), 2U);
    EXPECT_NEAR(trials[0] + trials[1], 2.0, 1e-9);
    EXPECT_NEAR(std::abs(trials[0] - 1), 0.05, 1e-9);
    higher_first.insert(trials[0] > 1);
  }
  EXPECT_EQ(higher_first.size(), 2U);
}

// The bound of a step is 5 % at first. Each that would have been longer widens the bound by 10 %; one that is
// not narrows it to what it needs. The second in a direction is twice the gradient, the third three times,
// and from there on each is two times longer.
TEST(Vivace, StepsGrowWithConfidenceWithinTheirBound) {
  Story story;
  story.leave_starting();
  const double own = story.vivace().rate_mbps();
  story.loss = [&](double mbps) { return mbps > 1.01 * own ? 5 : 0; };
  story.changes(1);  // down first, so that the way up begins afresh
  story.loss = nullptr;
  double before = story.vivace().rate_mbps();
  EXPECT_NEAR(before, 0.95 * own, 1e-9);
  int exceeded = 0;
  int times_bound = 0;
  for (const int confidence : {1, 2, 3, 5, 7, 9, 11, 13}) {
    before = story.vivace().rate_mbps();
    story.changes(1);
    const double wanted = confidence * clean_gradient(story.vivace(), before);
    const double bound = (0.05 + 0.1 * exceeded) * before;
    EXPECT_NEAR(story.vivace().rate_mbps() - before, std::min(wanted, bound), 1e-9) << confidence;
    times_bound += wanted > bound ? 1 : 0;
    exceeded = wanted > bound ? exceeded + 1
                              : static_cast<int>(std::ceil(std::max(0.0, wanted / before - 0.05) / 0.1));
  }
  EXPECT_GE(times_bound, 1);
  EXPECT_LT(times_bound, 7);
}

TEST(Vivace, AGrowingQueueTurnsItAndTheBoundIsTheFirstAgain) {
  Story story;
  story.leave_starting();
  story.changes(5);
  story.capacity = story.vivace().rate_mbps() * 0.9;
  double before = 0;
  do {
    before = story.vivace().rate_mbps();
    story.changes(1);
  } while (story.vivace().rate_mbps() > before);
  EXPECT_NEAR(story.vivace().rate_mbps(), 0.95 * before, 1e-9);
}

// A higher rate with less loss is odd: it is tried again before it is believed.
TEST(Vivace, LooksTwiceAtAnOddResult) {
  const auto trials_until_a_change = [](const std::function<std::int64_t(double, double)>& lost) {
    Story story;
    story.leave_starting();
    story.changes(1);
    const double own = story.vivace().rate_mbps();
    story.loss = [&](double mbps) { return lost(mbps, own); };
    story.tried.clear();
    story.changes(1);
    EXPECT_GT(story.vivace().rate_mbps(), own);
    int low = 0;
    for (const double mbps : story.tried) low += mbps < 0.96 * own ? 1 : 0;
    return low;
  };
  EXPECT_EQ(trials_until_a_change([](double, double) { return 0; }), 1);
  EXPECT_EQ(trials_until_a_change([](double mbps, double own) { return mbps < 0.99 * own ? 1 : 0; }), 2);
}

// A queue that empties, and does so the faster the lower the rate is, is no reason to send less.
TEST(Vivace, AQueueThatEmptiesCountsOnlyWhereAsked) {
  for (const bool rewarded : {false, true}) {
    VivaceConfig config;
    config.reward_draining = rewarded;
    Story story(1, config);
    story.leave_starting();
    story.changes(1);
    const double own = story.vivace().rate_mbps();
    story.add_queue(150);
    story.capacity = 1.1 * own;
    story.changes(1);
    EXPECT_EQ(story.vivace().rate_mbps() < own, rewarded);
  }
}

TEST(Vivace, LossTurnsItDown) {
  Story story;
  story.leave_starting();
  story.changes(2);
  const double own = story.vivace().rate_mbps();
  story.loss = [&](double mbps) { return mbps > 1.01 * own ? 2 : 0; };
  story.changes(1);
  EXPECT_LT(story.vivace().rate_mbps(), own);
}

TEST(Vivace, IntervalsThatTheApplicationLimitedTellNothing) {
  Story story;
  story.app_limited = true;
  story.steps(500);
  EXPECT_NEAR(story.vivace().rate_mbps(), kInitialMbps, 1e-9);
  story.app_limited = false;
  story.changes(1);
  EXPECT_NEAR(story.vivace().rate_mbps(), 2 * kInitialMbps, 1e-9);
}

TEST(Vivace, PersistentCongestionHalvesTheRate) {
  Story story;
  story.leave_starting();
  const double own = story.vivace().rate_mbps();
  story.sender().lose(5, /*persistent=*/true);
  EXPECT_DOUBLE_EQ(story.vivace().rate_mbps(), own / 2);
}

TEST(Vivace, SilenceForFourRoundTripsHalvesTheRate) {
  for (const auto& [silence_ms, factor] : {std::pair{200, 1.0}, std::pair{600, 0.5}}) {
    Story story;
    story.leave_starting();
    const double own = story.vivace().rate_mbps();
    story.sender().advance(Duration::from_ms(silence_ms));
    story.sender().ack(1, kRtt);
    EXPECT_DOUBLE_EQ(story.vivace().rate_mbps(), factor * own) << silence_ms;
  }
}

TEST(Vivace, KeepsTwoPacketsARoundTrip) {
  Story story;
  story.leave_starting();
  for (int i = 0; i < 20; ++i) {
    story.sender().send(5);
    story.sender().lose(5, /*persistent=*/true);
  }
  EXPECT_NEAR(story.vivace().rate_mbps(), kInitialMbps / 5, 1e-9);
}

TEST(VivaceConfig, RefusesBadValuesByName) {
  const auto refuses = [](const char* name, const std::function<void(VivaceConfig&)>& spoil) {
    VivaceConfig config;
    spoil(config);
    try {
      Vivace(config, WindowLimits{}, Rng());
      FAIL() << name;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  refuses("exponent", [](VivaceConfig& c) { c.exponent = 1.1; });
  refuses("probe_step", [](VivaceConfig& c) { c.probe_step = 1; });
  refuses("conversion", [](VivaceConfig& c) { c.conversion = 0; });
  refuses("change_bound", [](VivaceConfig& c) { c.change_bound = 0; });
  refuses("interval_packets", [](VivaceConfig& c) { c.interval_packets = 0; });
  refuses("timeout_rtts", [](VivaceConfig& c) { c.timeout_rtts = 1; });
}

}  // namespace
}  // namespace mvfstrl
