// The last actions, each with the window that it left: what a policy without a memory needs to know of
// itself.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/units.h"

namespace mvfstrl {

class ActionHistory {
 public:
  // Throws std::invalid_argument unless both are positive.
  ActionHistory(int length, std::size_t num_actions);

  // Fills the history with action 0 at `window`.
  void reset(ByteCount window);
  void push(std::size_t action, ByteCount window);

  // Latest first; each entry is a one-hot of the action, then the window in 1000 bytes.
  void write(std::span<float> out) const;
  std::size_t size() const { return entries_.size() * (num_actions_ + 1); }

 private:
  struct Entry {
    std::size_t action = 0;
    ByteCount window;
  };
  std::size_t num_actions_;
  std::vector<Entry> entries_;  // a ring
  std::size_t latest_ = 0;
};

}  // namespace mvfstrl
