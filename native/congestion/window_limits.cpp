#include "congestion/window_limits.h"

#include <stdexcept>

namespace mvfstrl {

void WindowLimits::validate() const {
  if (packet_size <= ByteCount::zero()) throw std::invalid_argument("packet_size must be positive");
  if (minimum_packets < 1) throw std::invalid_argument("minimum_packets must be at least 1");
  if (maximum_packets < minimum_packets) {
    throw std::invalid_argument("maximum_packets must be at least minimum_packets");
  }
  if (initial_packets < minimum_packets || initial_packets > maximum_packets) {
    throw std::invalid_argument("initial_packets must lie between minimum_packets and maximum_packets");
  }
}

}  // namespace mvfstrl
