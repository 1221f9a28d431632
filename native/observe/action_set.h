// What an agent may do to the congestion window.
//
// An action is written as "0" (keep; always the first), "+N" or "-N" (a whole number of packets) or "*F" or
// "/F" (a factor above zero, such as 1.1).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/units.h"
#include "congestion/window_limits.h"
#include "observe/config.h"

namespace mvfstrl {

class ActionSet {
 public:
  // `packet_size`: UDP payload of a full packet; the bounds and "+N", "-N" count in it. Throws
  // std::invalid_argument naming the entry and its position.
  ActionSet(const ActionConfig& config, ByteCount packet_size);

  std::size_t size() const { return actions_.size(); }
  const std::vector<std::string>& names() const { return names_; }
  ByteCount initial_window() const { return initial_; }

  // The window after `action` on `window`, rounded to a byte and kept within the bounds. action < size().
  ByteCount apply(std::size_t action, ByteCount window) const;

 private:
  // new window = window * factor + step
  struct Action {
    double factor = 1.0;
    ByteCount step;
  };
  static Action parse(const std::string& text, std::size_t position, ByteCount packet_size);

  std::vector<Action> actions_;
  std::vector<std::string> names_;  // as written, without surrounding space
  ByteCount initial_, min_, max_;
};

// The bounds of a window that an agent moves.
WindowLimits window_limits(const ActionConfig& config, ByteCount packet_size);

}  // namespace mvfstrl
