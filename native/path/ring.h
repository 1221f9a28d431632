// A growing first-in first-out ring. Capacity is a power of two and starts at nothing; after warm-up pushing
// allocates no more.
#pragma once

#include <cassert>
#include <cstddef>
#include <vector>

namespace mvfstrl {

template <typename T>
class Ring {
 public:
  bool empty() const { return head_ == tail_; }
  std::size_t size() const { return tail_ - head_; }
  const T& front() const { return slots_[head_ & mask_]; }
  // 0 is the front.
  const T& operator[](std::size_t index) const { return slots_[(head_ + index) & mask_]; }

  void push(const T& value) {
    if (tail_ - head_ == slots_.size()) grow();
    slots_[tail_++ & mask_] = value;
  }
  // Needs a non-empty ring. The reference holds until the next push.
  const T& pop() {
    assert(!empty());
    return slots_[head_++ & mask_];
  }
  // Bytes held on the heap.
  std::size_t capacity_bytes() const { return slots_.size() * sizeof(T); }

 private:
  static constexpr std::size_t kFirstCapacity = 16;

  void grow() {
    std::vector<T> larger(slots_.empty() ? kFirstCapacity : 2 * slots_.size());
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = (*this)[i];
    slots_.swap(larger);
    mask_ = slots_.size() - 1;
    head_ = 0;
    tail_ = count;
  }

  std::vector<T> slots_;
  std::size_t mask_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace mvfstrl
