// Where datagrams wait while their packets are on a path. Memory grows in slabs and is kept: nothing is
// allocated for a datagram once the pool has grown to what the paths hold.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mvfstrl {

// The longest that is relayed; an Ethernet's are up to 1472 bytes.
constexpr std::size_t kMaxDatagramBytes = 2036;

struct Datagram {
  std::uint32_t size;
  std::uint32_t place;  // its holder's, as is
  bool marked;
  std::array<std::byte, kMaxDatagramBytes> bytes;
};
static_assert(sizeof(Datagram) == 2048);

class DatagramPool {
 public:
  // Holds at most `limit` datagrams, rounded up to whole slabs.
  explicit DatagramPool(std::size_t limit) : limit_(limit) {}

  // Null if there is no more room.
  Datagram* take() {
    if (free_.empty() && !grow()) return nullptr;
    Datagram* datagram = free_.back();
    free_.pop_back();
    return datagram;
  }
  void give(Datagram* datagram) { free_.push_back(datagram); }
  std::size_t in_use() const { return slabs_.size() * kSlab - free_.size(); }

 private:
  static constexpr std::size_t kSlab = 256;

  bool grow() {
    if (slabs_.size() * kSlab >= limit_) return false;
    slabs_.push_back(std::make_unique_for_overwrite<Datagram[]>(kSlab));
    free_.reserve(slabs_.size() * kSlab);
    for (std::size_t i = kSlab; i-- > 0;) free_.push_back(&slabs_.back()[i]);
    return true;
  }

  std::size_t limit_;
  std::vector<std::unique_ptr<Datagram[]>> slabs_;
  std::vector<Datagram*> free_;
};

}  // namespace mvfstrl
