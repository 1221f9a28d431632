#include "observe/action_history.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <string>

#include "observe/fields.h"

namespace mvfstrl {

ActionHistory::ActionHistory(int length, std::size_t num_actions) : num_actions_(num_actions) {
  if (length < 1) {
    throw std::invalid_argument("observation.history must be at least 1, got " + std::to_string(length));
  }
  if (num_actions < 1) throw std::invalid_argument("an action history needs at least one action");
  entries_.resize(static_cast<std::size_t>(length));
}

void ActionHistory::reset(ByteCount window) {
  std::fill(entries_.begin(), entries_.end(), Entry{0, window});
  latest_ = 0;
}

void ActionHistory::push(std::size_t action, ByteCount window) {
  assert(action < num_actions_);
  latest_ = (latest_ == 0 ? entries_.size() : latest_) - 1;
  entries_[latest_] = Entry{action, window};
}

void ActionHistory::write(std::span<float> out) const {
  assert(out.size() == size());
  std::fill(out.begin(), out.end(), 0.0F);
  float* entry_out = out.data();
  for (std::size_t age = 0; age < entries_.size(); ++age) {
    const Entry& entry = entries_[(latest_ + age) % entries_.size()];
    entry_out[entry.action] = 1.0F;
    entry_out[num_actions_] = std::clamp(
        static_cast<float>(static_cast<double>(entry.window.value()) / kByteNorm), 0.0F, kByteHigh);
    entry_out += num_actions_ + 1;
  }
}

}  // namespace mvfstrl
