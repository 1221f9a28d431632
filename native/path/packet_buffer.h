// The packets at a link in one ring, in order: those that have left the link and are on their way, the one
// being sent, those that wait. A packet is written once, when it arrives: from then on the boundaries between
// the three move past it. Which packet is admitted or dropped is the queue discipline's matter (queue.h).
//
//     departed_          sending_        head_            tail_
//       | on their way .... | sent | (gap) | waiting ....... |
//
// The gap is what drops leave behind; as long as there is one, a packet is moved across it when it is sent.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/units.h"
#include "path/packet.h"

namespace mvfstrl {

class PacketBuffer {
 public:
  // ---- Those that wait.
  bool empty() const { return head_ == tail_; }
  std::int64_t packets() const { return static_cast<std::int64_t>(tail_ - head_); }
  std::int64_t bytes() const { return bytes_; }
  const Packet& operator[](std::size_t index) const { return slot(head_ + index); }

  // `at` is when the packet arrived: it becomes packet.entered.
  void push(const Packet& packet, TimePoint at) {
    if (tail_ - departed_ == capacity_) [[unlikely]]
      make_room();
    Packet& pushed = slot(tail_++);
    pushed.id = packet.id;
    pushed.entered = at;
    pushed.flow = packet.flow;
    pushed.copy = packet.copy;
    pushed.size_bytes = packet.size_bytes;
    bytes_ += packet.size_bytes;
  }
  // The reference holds until the next push() or send().
  const Packet& pop() {
    assert(!empty());
    const Packet& packet = slot(head_++);
    bytes_ -= packet.size_bytes;
    return packet;
  }

  // ---- The one being sent.
  // `packet` has been popped; the one sent before has departed or is forgotten.
  void send(const Packet& packet) {
    if (departed_ == sending_) departed_ = sending_ = head_ - 1;  // nobody behind the gap to keep up with
    Packet& sent = slot(sending_);
    if (&sent != &packet) sent = packet;
  }
  // The first of those that wait, where none has been dropped behind the one that was sent before it.
  const Packet& send_next_in_place() {
    assert(!empty() && head_ == sending_);
    const Packet& packet = slot(head_++);
    bytes_ -= packet.size_bytes;
    return packet;
  }
  const Packet& sending() const { return slot(sending_); }
  // It has left the link.
  void depart(TimePoint at) { slot(sending_++).left = at; }

  // ---- Those on their way.
  bool none_departed() const { return departed_ == sending_; }
  std::size_t departed() const { return sending_ - departed_; }
  const Packet& departed(std::size_t index) const { return slot(departed_ + index); }
  // Lets go of the first of them. The reference holds until the next push().
  const Packet& deliver() {
    assert(!none_departed());
    return slot(departed_++);
  }

  // Bytes held on the heap.
  std::size_t capacity_bytes() const { return capacity_ * sizeof(Packet); }

 private:
  Packet& slot(std::size_t place) { return slots_[place & (capacity_ - 1)]; }
  const Packet& slot(std::size_t place) const { return slots_[place & (capacity_ - 1)]; }
  void make_room();

  std::vector<Packet> slots_;
  std::size_t capacity_ = 0;  // nothing, or a power of two
  std::size_t departed_ = 0;  // these count on and on
  std::size_t sending_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace mvfstrl
