// What a link could have carried, whatever it did carry: a twin of its rate process, on which nothing is
// sent. The twin can be asked without disturbing the link.
#pragma once

#include "common/rng.h"
#include "common/units.h"
#include "path/direction.h"

namespace mvfstrl {

class Offered {
 public:
  // As the link's.
  Offered(const DirectionConfig& config, Direction::Order order, Rng rng) : twin_(config, order, rng) {}

  // From time zero to `now`, which never decreases from call to call.
  ByteCount bytes(TimePoint now) { return twin_.offered_bytes(now); }

 private:
  Direction twin_;
};

}  // namespace mvfstrl
