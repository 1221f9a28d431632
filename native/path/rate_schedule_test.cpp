#include "path/rate_schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace mvfstrl {
namespace {

constexpr std::int64_t kMs = 1'000'000;

PeriodicRate periodic(std::vector<PeriodicRate::Part> parts, std::int64_t offset_ms = 0) {
  return {.parts = std::move(parts), .offset = Duration::from_ms(offset_ms)};
}
PeriodicRate::Part part(double mbps, std::int64_t ms) {
  return {Bandwidth::from_mbps(mbps), Duration::from_ms(ms)};
}

// The rate in force at each of the given milliseconds.
std::vector<double> rates_at(RateSchedule schedule, const std::vector<std::int64_t>& times_ms) {
  std::vector<double> mbps;
  for (const std::int64_t ms : times_ms) {
    while (schedule.segment().end <= TimePoint::from_ms(ms)) schedule.advance();
    mbps.push_back(static_cast<double>(schedule.segment().bps) * 1e-6);
  }
  return mbps;
}

TEST(PeriodicRate, PlaysItsPartsRoundAndRound) {
  const PeriodicRate rate = periodic({part(1, 10), part(2, 5)});
  EXPECT_EQ(rates_at(RateSchedule(rate, Rng()), {0, 9, 10, 14, 15, 24, 25}),
            (std::vector<double>{1, 1, 2, 2, 1, 1, 2}));
  const PeriodicRate later = periodic({part(1, 10), part(2, 5)}, 15 + 12);
  EXPECT_EQ(rates_at(RateSchedule(later, Rng()), {0, 2, 3, 12, 13}), (std::vector<double>{2, 2, 1, 1, 2}));
}

TEST(ScheduledWire, PacketAcrossAChangeIsFinishedAtTheNewRate) {
  // 12 Mbps for a millisecond sends 1500 bytes; 1000 of 2500 are left, at 24 Mbps a third of a millisecond.
  ScheduledWire wire(periodic({part(12, 1), part(24, 1)}), Rng());
  EXPECT_EQ(wire.send(TimePoint::zero(), 2500).ns(), kMs + 333'334);
  EXPECT_EQ(wire.rate_end(), TimePoint::from_ms(2));
  EXPECT_EQ(wire.ns_per_byte(), 8e9 / 24e6);
}

TEST(ScheduledWire, PacketMayTakeManyPartsAndWaitsThroughAnOutage) {
  ScheduledWire wire(periodic({part(12, 1), part(0, 7)}), Rng());
  EXPECT_EQ(wire.send(TimePoint::zero(), 3750).ns(), 16 * kMs + kMs / 2) << "1500 bytes a round of 8 ms";
  EXPECT_EQ(wire.send(TimePoint::from_ms(18), 1500).ns(), 25 * kMs) << "starts in the outage";
}

TEST(ScheduledWire, OfferedBytesAreTheExactIntegral) {
  // 1 bit/s and 3 bits/s by turns of one nanosecond: two bits in 10^9 ns, whatever the steps taken.
  const PeriodicRate rate{.parts = {{Bandwidth::from_bps(12e6), Duration::from_ns(1)},
                                    {Bandwidth::from_bps(4e6), Duration::from_ns(3)}}};
  ScheduledWire wire(rate, Rng());
  for (std::int64_t ns = 0; ns <= 400'000; ns += 4) {
    // A round of 4 ns has 24e6 bit-nanoseconds.
    ASSERT_EQ(wire.offered_bytes(TimePoint::from_ns(ns)).value(), ns / 4 * 24'000'000 / 8'000'000'000) << ns;
  }
}

TEST(ScheduledWire, OfferingAndSendingDoNotDisturbEachOther) {
  const RandomWalkRate walk{.min = Bandwidth::from_mbps(1), .max = Bandwidth::from_mbps(9)};
  ScheduledWire sends(walk, Rng(4));
  ScheduledWire offers(walk, Rng(4));
  ScheduledWire both(walk, Rng(4));
  TimePoint at;
  for (int i = 0; i < 2000; ++i) {
    const TimePoint start = at;
    at = sends.send(start, 1500);
    EXPECT_EQ(both.send(start, 1500), at);
    EXPECT_EQ(both.offered_bytes(start), offers.offered_bytes(start));
  }
  // A wire that never rests carries what is offered.
  EXPECT_NEAR(static_cast<double>(offers.offered_bytes(at).value()), 2000 * 1500, 2);
}

TEST(RandomWalkRate, StaysWithinItsBoundsUniformInTheLogarithm) {
  const RandomWalkRate walk{.min = Bandwidth::from_mbps(12),
                            .max = Bandwidth::from_mbps(192),
                            .every = Duration::from_ms(100),
                            .deviation = 1.5};
  double below = 0;
  double steps = 0;
  std::int64_t last = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    RateSchedule schedule(walk, Rng(seed));
    for (int i = 0; i < 500; ++i, schedule.advance()) {
      const std::int64_t bps = schedule.segment().bps;
      ASSERT_GE(bps, 12'000'000);
      ASSERT_LE(bps, 192'000'000);
      EXPECT_EQ(schedule.segment().end, TimePoint::from_ms(100 * (i + 1)));
      below += bps < 48'000'000 ? 1 : 0;
      steps += bps != last ? 1 : 0;
      last = bps;
    }
  }
  EXPECT_NEAR(below / 20'000, 0.5, 0.03) << "the geometric middle is the median";
  EXPECT_EQ(steps, 20'000);
}

TEST(RandomWalkRate, StepHasItsDeviation) {
  const RandomWalkRate walk{
      .min = Bandwidth::from_bps(10), .max = Bandwidth::from_bps(1e15), .deviation = 0.05};
  RateSchedule schedule(walk, Rng(3));
  double squares = 0;
  double previous = std::log(static_cast<double>(schedule.segment().bps));
  for (int i = 0; i < 10'000; ++i) {
    schedule.advance();
    const double now = std::log(static_cast<double>(schedule.segment().bps));
    squares += (now - previous) * (now - previous);
    previous = now;
  }
  EXPECT_NEAR(std::sqrt(squares / 10'000), 0.05, 5 * 0.05 / std::sqrt(20'000.0));
}

TEST(SatelliteRate, EachSlotHasAnOutageAndThenItsOwnRate) {
  const SatelliteRate config{.rate = Bandwidth::from_mbps(100),
                             .low = 0.5,
                             .high = 1.5,
                             .outage = Duration::from_ms(80),
                             .offset = Duration::from_ms(10'000)};
  RateSchedule schedule(config, Rng(2));
  std::vector<double> mbps;
  EXPECT_EQ(schedule.segment().end, TimePoint::from_ms(5'000)) << "the slot under way at time zero";
  for (int slot = 0; slot < 200; ++slot) {
    mbps.push_back(static_cast<double>(schedule.segment().bps) * 1e-6);
    EXPECT_EQ(schedule.segment().end, TimePoint::from_ms(5'000 + 15'000 * slot));
    schedule.advance();
    EXPECT_EQ(schedule.segment().bps, 0);
    EXPECT_EQ(schedule.segment().end, TimePoint::from_ms(5'080 + 15'000 * slot));
    schedule.advance();
  }
  double sum = 0;
  for (const double rate : mbps) {
    EXPECT_GE(rate, 50);
    EXPECT_LE(rate, 150);
    sum += rate;
  }
  EXPECT_NEAR(sum / 200, 100, 5 * 100 / std::sqrt(12.0 * 200)) << "uniform";
  EXPECT_NE(mbps[0], mbps[1]);
}

TEST(RateSchedule, UnsoundRatesAreRefused) {
  const auto refused = [](const RateConfig& rate) { EXPECT_THROW(validate(rate), std::invalid_argument); };
  refused(periodic({}));
  refused(periodic({part(0, 5)}));
  refused(periodic({part(1, 0)}));
  refused(periodic({part(1, 1), part(-1, 1)}));
  refused(periodic({part(1, 1)}, -1));
  refused(RandomWalkRate{.min = Bandwidth::from_mbps(2), .max = Bandwidth::from_mbps(1)});
  refused(RandomWalkRate{.min = Bandwidth::from_mbps(0), .max = Bandwidth::from_mbps(1)});
  const Bandwidth one = Bandwidth::from_mbps(1);
  refused(RandomWalkRate{.min = one, .max = one, .every = Duration::zero()});
  refused(RandomWalkRate{.min = one, .max = one, .deviation = -0.1});
  refused(SatelliteRate{.rate = one, .low = 2, .high = 1});
  refused(SatelliteRate{.rate = one, .low = 0, .high = 1});
  refused(SatelliteRate{.rate = one, .outage = Duration::from_ms(15'000)});
  refused(SatelliteRate{.rate = one, .interval = Duration::zero()});
}

}  // namespace
}  // namespace mvfstrl
