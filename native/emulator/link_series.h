// What left a link, window by window from the path's time zero. The sender's side of the same is
// host/series.h.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "common/units.h"
#include "emulator/offered.h"
#include "path/link_log.h"
#include "path/tally.h"

namespace mvfstrl {

// One window (from, to].
struct LinkPoint {
  Tally left;         // the link, whether it arrived or not
  Duration sojourn;   // of all of it together: in the queue and on the wire
  ByteCount offered;  // what the link could have carried
};

class LinkSeries {
 public:
  LinkSeries(Duration window, Offered offered) : window_(window), offered_(std::move(offered)) {}

  void add(const LinkEvent& event);
  // The windows that are over by `now`, which never decreases from call to call.
  std::vector<LinkPoint> until(TimePoint now);

 private:
  Duration window_;
  Offered offered_;
  ByteCount offered_before_;
  std::size_t closed_ = 0;
  std::vector<LinkPoint> windows_;  // the closed ones, and those after them that something is known of
};

}  // namespace mvfstrl
