// The application above a sender: how many bytes it has to send at a time.
#pragma once

#include <optional>

#include "common/rng.h"
#include "common/units.h"
#include "traffic/config.h"

namespace mvfstrl {

class Application {
 public:
  // Produces nothing before `start`. Throws std::invalid_argument naming the bad field.
  Application(const AppConfig& config, ByteCount packet_size, TimePoint start, Rng rng);

  // Brings the source up to `now`, which never decreases.
  void advance(TimePoint now) {
    while (now >= next_event_) step();
  }
  // When advance() next changes anything; never() for a bulk source that has started.
  TimePoint next_event() const { return next_event_; }
  // As of the last advance().
  bool has_data() const { return unlimited_ || available_ > ByteCount::zero(); }
  bool unlimited() const { return unlimited_; }
  ByteCount available() const { return available_; }  // beside what is unlimited
  void take(ByteCount bytes) {
    if (!unlimited_) available_ -= bytes;
  }
  // A fixed-size transfer that has nothing more to hand over.
  bool exhausted() const { return fixed_size_ && started_ && available_ <= ByteCount::zero(); }

 private:
  void step();
  void begin();
  Duration draw(Duration mean);

  OnOffApp on_off_;
  ByteCount packet_size_;
  ByteCount transfer_;
  bool fixed_size_ = false;
  bool alternates_ = false;
  bool started_ = false;
  bool on_ = false;
  bool unlimited_ = false;
  ByteCount available_;
  TimePoint next_event_;
  TimePoint next_toggle_ = TimePoint::never();
  TimePoint next_packet_ = TimePoint::never();  // of a rated source
  Rng rng_;
};

}  // namespace mvfstrl
