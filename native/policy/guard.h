// Judges a policy's decisions and says who drives the connection: the policy, or a classic controller in its
// stead (guarded_controller.h). Every host asks it the same way, once a decision:
//
//   an answer came:              judge(now, {.latency = now - observed, .finite = ..., .window = asked for})
//   none by max_latency:         the same at that moment; the answer, should it come, is dropped
//
// The policy falls back when it is late, when it gives something that is not finite, or when it has asked for
// the window's upper (or lower) bound `pinned_windows` times in a row. It goes on being asked, and shadowed,
// while the other drives; after `return_after` healthy decisions in a row it is back. Healthy is a decision
// that is in time, finite and, where a bound was the reason, off that bound.
//
// Against flapping: one that falls back again before it has driven for `max_return_after` decisions needs
// twice as many healthy ones as the last time, up to that number.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/units.h"
#include "congestion/factory.h"

namespace mvfstrl {

enum class GuardReason : std::uint8_t { kLate, kNonFinite, kPinnedAtMaximum, kPinnedAtMinimum };
inline constexpr std::array<const char*, 4> kGuardReasons = {"late", "non_finite", "pinned_max",
                                                             "pinned_min"};

struct GuardConfig {
  bool enabled = true;
  Duration max_latency = Duration::from_ms(100);  // from an observation to its answer
  std::int32_t pinned_windows = 100;
  std::int32_t return_after = 20;
  std::int32_t max_return_after = 640;
  ControllerConfig fallback = CubicConfig{};  // any but ExternalConfig

  // What is wrong with it, if anything: a field, and what it must be.
  struct Problem {
    const char* field;
    const char* requirement;
  };
  std::optional<Problem> problem() const;
};

enum class Driver : std::uint8_t { kPolicy, kFallback };

// What a policy answered to one observation.
struct Decision {
  Duration latency;
  bool finite = true;
  ByteCount window;  // that it asks for; means nothing where it is late or not finite
};

// Who drives from now on.
struct GuardEvent {
  TimePoint now;
  Driver driver = Driver::kPolicy;
  GuardReason reason = GuardReason::kLate;  // of the fall-back that begins or ends
  ByteCount window;                         // at which the connection changes hands
};

class GuardLog {
 public:
  virtual ~GuardLog() = default;
  // Once a change of driver; must not keep the sender waiting.
  virtual void on_guard_event(const GuardEvent& event) = 0;
};

struct GuardCounters {
  std::array<std::int64_t, kGuardReasons.size()> fallbacks{};  // by reason
  std::int64_t returns = 0;
  std::int64_t decisions = 0;  // judged in all...
  std::int64_t shadowed = 0;   // ...and of these, while the fall-back drove
};

// One connection's. No allocation, no lock, no clock.
class Guard {
 public:
  // `minimum` and `maximum` bound the windows that a decision may ask for; where they are one, nothing is
  // pinned. Throws std::invalid_argument naming the configuration's bad field.
  Guard(const GuardConfig& config, ByteCount minimum, ByteCount maximum);

  // `window`: the connection's at present, for the log.
  Driver judge(TimePoint now, const Decision& decision, ByteCount window);

  Driver driver() const { return driver_; }
  const GuardCounters& counters() const { return counters_; }
  Duration fallback_time(TimePoint now) const;
  // Healthy decisions in a row that the present, or the latest, fall-back asks for.
  std::int32_t wanted() const { return wanted_; }
  // Null for none. Not owned.
  void set_log(GuardLog* log) { log_ = log; }

 private:
  enum class Bound : std::uint8_t { kNone, kMaximum, kMinimum };

  Bound bound_of(ByteCount window) const;
  // Whether the decision, by itself or with those before it, is a reason to fall back; `reason_` says which.
  bool at_fault(const Decision& decision);
  bool healthy(const Decision& decision) const;
  void fall_back(TimePoint now, ByteCount window);
  void come_back(TimePoint now, ByteCount window);
  void report(TimePoint now, ByteCount window) const;

  Duration max_latency_;
  std::int32_t pinned_windows_, return_after_, max_return_after_;
  ByteCount minimum_, maximum_;

  Driver driver_ = Driver::kPolicy;
  GuardReason reason_ = GuardReason::kLate;  // of the present or latest fall-back
  Bound pinned_at_ = Bound::kNone;
  std::int32_t pinned_ = 0;   // decisions in a row at that bound
  std::int64_t driven_ = 0;   // decisions since the policy came back
  std::int32_t healthy_ = 0;  // in a row, since the fall-back
  std::int32_t wanted_;
  TimePoint fell_back_;
  Duration fallback_time_;  // of fall-backs that are over
  GuardCounters counters_;
  GuardLog* log_ = nullptr;
};

}  // namespace mvfstrl
