// A link's log as mm-link writes it, so that mahimahi's tools and pantheon/linklog.py read it: `T + size`
// arrival, `T d packets bytes` drop, `T - size delay` departure, `T # bytes` what the link offered in that
// millisecond (one line a millisecond, whatever the rate process); T in whole milliseconds of path time.
#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "common/units.h"
#include "emulator/offered.h"
#include "path/link_log.h"

namespace mvfstrl {

class PathLog {
 public:
  // Throws std::system_error naming the file. `title` is for the reader: which link of what.
  PathLog(const std::string& file, const std::string& title, Offered offered);

  // The header, with the wall clock's time at which the path's began.
  void begin(std::int64_t unix_ms);
  // In order of time.
  void write(const LinkEvent& event);
  // All that the link offered by then, and everything to the file. Throws if any of it could not be written.
  void finish(TimePoint now);

 private:
  static constexpr std::size_t kBuffer = 1 << 18;

  void offer_until(std::int64_t ms);
  void put(std::int64_t ms, char kind, std::int64_t first, std::int64_t second = -1);

  std::string file_, title_;
  std::vector<char> buffer_;
  std::ofstream out_;
  Offered offered_;
  std::int64_t next_ms_ = 0;  // whose offer has not been logged
  ByteCount logged_;
};

}  // namespace mvfstrl
