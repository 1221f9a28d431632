// Links that move bytes at given instants: a mahimahi trace, a Poisson process, the cellular model, Wi-Fi.
// Each instant is an opportunity to send a fixed number of bytes; what nobody uses is lost.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>

#include "common/rng.h"
#include "common/units.h"
#include "path/cellular.h"
#include "path/config.h"
#include "path/wifi.h"

namespace mvfstrl {

// The opportunity of all but traces, in bytes: one full-size IP packet.
constexpr std::int64_t kOpportunityBytes = 1500;
// mahimahi's: a full-size IP packet and the tunnel's 4-byte header.
constexpr std::int64_t kTraceOpportunityBytes = 1504;

// Plays a part of a trace over and over.
class TracePlayer {
 public:
  explicit TracePlayer(const TraceRate& config);

  TimePoint next() const { return next_; }
  void advance() {
    if (++cursor_ == end_) wrap();
    next_ = base_ + Duration::from_ms(*cursor_);
  }

 private:
  void wrap() {
    cursor_ = begin_;
    base_ += period_;
  }

  std::shared_ptr<const Trace> trace_;
  const std::uint32_t* begin_ = nullptr;
  const std::uint32_t* end_ = nullptr;
  const std::uint32_t* cursor_ = nullptr;
  TimePoint base_;  // when the trace's own millisecond zero falls, for the round being played
  Duration period_;
  TimePoint next_;
};

class PoissonProcess {
 public:
  PoissonProcess(const PoissonRate& config, Rng rng);

  TimePoint next() const { return next_; }
  void advance() { next_ += Duration::from_seconds(rng_.exponential(mean_gap_seconds_)); }

 private:
  Rng rng_;
  double mean_gap_seconds_;
  TimePoint next_;
};

// Any of the four, with a count of the opportunities gone by.
class Opportunities {
 public:
  // `rate` must be one of these. Throws std::invalid_argument if it is not sound.
  Opportunities(const RateConfig& rate, Rng rng);

  TimePoint next() const { return next_; }
  void advance() {
    ++passed_;
    switch (process_.index()) {
      case 0:
        next_ = advanced(*std::get_if<0>(&process_));
        break;
      case 1:
        next_ = advanced(*std::get_if<1>(&process_));
        break;
      case 2:
        next_ = advanced(*std::get_if<2>(&process_));
        break;
      default:
        next_ = advanced(*std::get_if<3>(&process_));
        break;
    }
  }
  // Lets every opportunity up to and including `time` go by unused.
  void skip_past(TimePoint time) {
    while (next_ <= time) advance();
  }
  // Bytes of one opportunity.
  std::int64_t bytes() const { return bytes_; }
  // Opportunities before next(), used or not.
  std::int64_t passed() const { return passed_; }

 private:
  using Process = std::variant<TracePlayer, PoissonProcess, CellularProcess, WifiProcess>;

  template <typename P>
  static TimePoint advanced(P& process) {
    process.advance();
    return process.next();
  }
  static Process make_process(const RateConfig& rate, Rng rng);

  Process process_;
  TimePoint next_;
  std::int64_t bytes_;
  std::int64_t passed_ = 0;
};

}  // namespace mvfstrl
