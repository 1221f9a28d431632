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
  T& operator[](std::size_t index) { return slots_[(head_ + index) & mask_]; }
  const T& operator[](std::size_t index) const { return slots_[(head_ + index) & mask_]; }

  // Returns the new element; the reference holds until the next push.
  T& push(const T& value) {
    if (tail_ - head_ == capacity_) grow();
    T& slot = slots_[tail_++ & mask_];
    slot = value;
    return slot;
  }
  // Needs a non-empty ring. The reference holds until the next push.
  const T& pop() {
    assert(!empty());
    return slots_[head_++ & mask_];
  }
  // Bytes held on the heap.
  std::size_t capacity_bytes() const { return capacity_ * sizeof(T); }

 private:
  static constexpr std::size_t kFirstCapacity = 16;

  void grow() {
    const std::size_t larger = capacity_ == 0 ? kFirstCapacity : 2 * capacity_;
    std::vector<T> moved(larger);
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) moved[i] = (*this)[i];
    slots_.swap(moved);
    capacity_ = larger;
    mask_ = larger - 1;
    head_ = 0;
    tail_ = count;
  }

  std::vector<T> slots_;
  std::size_t capacity_ = 0;
  std::size_t mask_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace mvfstrl
