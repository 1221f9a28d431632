// Counts what a program takes from and gives back to the heap, by replacing operator new: for tests and
// benchmarks, to be included by one source file of a program.
#pragma once

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace mvfstrl {

// Of all threads, since the program began. Bytes are those that the allocator hands out, its rounding up to
// its own sizes included.
class CountedMemory {
 public:
  static std::int64_t allocations() { return allocations_; }
  static std::int64_t live_bytes() { return live_; }
  // Of the live bytes, since the last call of reset_peak().
  static std::int64_t peak_bytes() { return peak_; }
  static void reset_peak() { peak_ = live_.load(); }

  static void* take(std::size_t size, std::size_t alignment) {
    void* memory = take_or_null(size, alignment);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  static void* take_or_null(std::size_t size, std::size_t alignment = 1) noexcept {
    if (size == 0) size = 1;
    void* memory = alignment > alignof(std::max_align_t)
                       ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                       : std::malloc(size);
    if (memory == nullptr) return nullptr;
    ++allocations_;
    const std::int64_t live = live_ += static_cast<std::int64_t>(malloc_usable_size(memory));
    std::int64_t peak = peak_;
    while (live > peak && !peak_.compare_exchange_weak(peak, live)) {
    }
    return memory;
  }
  static void give_back(void* memory) {
    if (memory != nullptr) live_ -= static_cast<std::int64_t>(malloc_usable_size(memory));
    std::free(memory);
  }

 private:
  static inline std::atomic<std::int64_t> allocations_ = 0;
  static inline std::atomic<std::int64_t> live_ = 0;
  static inline std::atomic<std::int64_t> peak_ = 0;
};

}  // namespace mvfstrl

// All that a program may call, or a sanitizer's own would take what ours gave.
void* operator new(std::size_t size) { return mvfstrl::CountedMemory::take(size, 1); }
void* operator new[](std::size_t size) { return mvfstrl::CountedMemory::take(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return mvfstrl::CountedMemory::take(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return mvfstrl::CountedMemory::take(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return mvfstrl::CountedMemory::take_or_null(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return mvfstrl::CountedMemory::take_or_null(size);
}
void operator delete(void* memory) noexcept { mvfstrl::CountedMemory::give_back(memory); }
void operator delete[](void* memory) noexcept { mvfstrl::CountedMemory::give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { mvfstrl::CountedMemory::give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { mvfstrl::CountedMemory::give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { mvfstrl::CountedMemory::give_back(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { mvfstrl::CountedMemory::give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  mvfstrl::CountedMemory::give_back(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  mvfstrl::CountedMemory::give_back(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  mvfstrl::CountedMemory::give_back(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  mvfstrl::CountedMemory::give_back(memory);
}
