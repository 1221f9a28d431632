// The application above a sender: how many bytes it has to send at a time.
#pragma once

#include <optional>

#include "common/rng.h"
#include "common/units.h"
#include "transport/config.h"

namespace mvfstrl {

class Application {
 public:
  // Throws std::invalid_argument naming the bad field.
  Application(const AppConfig& config, TimePoint start, Rng rng);

  // Brings the source up to `now`, which never decreases.
  void advance(TimePoint now);
  // Bytes it has to offer, as of the last advance(); unlimited sources offer a large number.
  ByteCount available() const { return available_; }
  // None has begun before `start`, and a fixed-size transfer ends.
  bool unlimited() const { return unlimited_; }
  void take(ByteCount bytes) {
    if (!unlimited_) available_ -= bytes;
  }
  // When more can become available, given that `wanted` bytes are asked for; never() if taking time alone
  // gives none.
  TimePoint next_change(ByteCount wanted) const;
  // The whole size of a fixed-size transfer.
  std::optional<ByteCount> transfer_size() const { return transfer_size_; }

 private:
  void toggle();
  Duration draw(Duration mean);

  OnOffApp on_off_;
  bool is_on_off_ = false;
  bool on_ = false;
  bool unlimited_ = false;
  ByteCount available_;
  double fraction_ = 0;  // of a byte, produced and not yet whole
  TimePoint advanced_;   // how far a rated source has produced
  TimePoint next_toggle_ = TimePoint::never();
  std::optional<ByteCount> transfer_size_;
  Rng rng_;
};

}  // namespace mvfstrl
