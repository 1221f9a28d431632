// The queue in front of a link: which packets are admitted, which are dropped, which comes next.
#pragma once

#include <cstdint>
#include <limits>
#include <variant>

#include "common/rng.h"
#include "common/units.h"
#include "path/codel.h"
#include "path/config.h"
#include "path/mahimahi_aqm.h"
#include "path/packet_buffer.h"
#include "path/pie.h"
#include "path/tally.h"

namespace mvfstrl {

// Times handed in never decrease.
class Queue {
 public:
  // Throws std::invalid_argument if the configuration is not sound.
  Queue(const QueueConfig& config, Rng rng);

  bool empty() const { return buffer_.empty(); }
  std::int64_t packets() const { return buffer_.packets(); }
  std::int64_t bytes() const { return buffer_.bytes(); }
  std::size_t capacity_bytes() const { return buffer_.capacity_bytes(); }

  // Offers a packet that arrives at `at`, which becomes its `entered`. False if it was dropped; every packet
  // dropped, this one or older ones, is added to `drops`.
  bool admit(const Packet& packet, TimePoint at, Tally& drops) {
    if (!plain_) return admit_managed(packet, at, drops);
    if (!has_room_for(packet)) {
      drops.add(packet.size_bytes);
      return false;
    }
    buffer_.push(packet, at);
    return true;
  }

  // Takes out the packet to be sent next. False if none is left, which an active discipline may bring about.
  bool take(TimePoint now, Packet& out, Tally& drops) {
    if (!plain_) return take_managed(now, out, drops);
    if (buffer_.empty()) return false;
    out = buffer_.pop();
    return true;
  }

 private:
  using Discipline = std::variant<std::monostate, Codel, Pie, MahimahiCodel, MahimahiPie>;

  static Discipline make_discipline(const QueueConfig& config, Rng rng);
  bool has_room_for(const Packet& packet) const {
    return buffer_.packets() < max_packets_ && buffer_.bytes() + packet.size_bytes <= max_bytes_;
  }
  bool admit_managed(const Packet& packet, TimePoint at, Tally& drops);
  bool take_managed(TimePoint now, Packet& out, Tally& drops);
  void drop_from_head(Tally& drops);

  PacketBuffer buffer_;
  bool plain_;  // infinite or drop-tail: nothing but limits
  std::int64_t max_packets_;
  std::int64_t max_bytes_;
  Discipline discipline_;
};

}  // namespace mvfstrl
