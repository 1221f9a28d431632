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
  // Nothing is dropped once it is admitted: infinite or drop-tail.
  bool plain() const { return plain_; }
  std::int64_t packets() const { return buffer_.packets(); }
  std::int64_t bytes() const { return buffer_.bytes(); }

  // Offers a packet that arrives at `at`, which becomes its `entered`. False if it was dropped; every packet
  // dropped, this one or older ones, is added to `drops`.
  bool admit(const Packet& packet, TimePoint at, Tally& drops) {
    return plain_ ? admit_plain(packet, at, drops) : admit_managed(packet, at, drops);
  }
  // The same where the queue is plain().
  bool admit_plain(const Packet& packet, TimePoint at, Tally& drops) {
    if (!has_room_for(packet)) {
      drops.add(packet.size_bytes);
      return false;
    }
    buffer_.push(packet, at);
    return true;
  }

  // The next packet to be sent becomes buffer().sending(). False if none is left, which an active discipline
  // may bring about.
  bool send_next(TimePoint now, Tally& drops) {
    if (!plain_) return send_managed(now, drops);
    if (buffer_.empty()) return false;
    buffer_.send(buffer_.pop());
    return true;
  }
  // The same, and forgets it.
  bool take(TimePoint now, Packet& out, Tally& drops) {
    if (!send_next(now, drops)) return false;
    out = buffer_.sending();
    return true;
  }

  // What waits, and what has been sent.
  PacketBuffer& buffer() { return buffer_; }
  const PacketBuffer& buffer() const { return buffer_; }

 private:
  using Discipline = std::variant<std::monostate, Codel, Pie, MahimahiCodel, MahimahiPie>;

  static Discipline make_discipline(const QueueConfig& config, Rng rng);
  bool has_room_for(const Packet& packet) const {
    return buffer_.packets() < max_packets_ && buffer_.bytes() + packet.size_bytes <= max_bytes_;
  }
  bool admit_managed(const Packet& packet, TimePoint at, Tally& drops);
  bool send_managed(TimePoint now, Tally& drops);
  bool take_managed(TimePoint now, Packet& out, Tally& drops);
  void drop_from_head(Tally& drops);

  PacketBuffer buffer_;
  bool plain_;
  std::int64_t max_packets_;
  std::int64_t max_bytes_;
  Discipline discipline_;
};

}  // namespace mvfstrl
