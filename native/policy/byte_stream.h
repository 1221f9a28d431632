// Little-endian bytes, written one value after the other and read back with every bound checked.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mvfstrl {

static_assert(std::endian::native == std::endian::little, "exported policies are little-endian");

template <class T>
concept Plain = std::integral<T> || std::floating_point<T>;

class ByteWriter {
 public:
  template <Plain T>
  void put(T value) {
    const auto* bytes = reinterpret_cast<const char*>(&value);
    bytes_.append(bytes, sizeof(T));
  }
  void put(bool flag) { put(static_cast<std::uint8_t>(flag)); }
  void put_bytes(std::string_view bytes) { bytes_.append(bytes); }
  void put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    put_bytes(text);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// What is asked for is not there.
class ByteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}

  std::string_view take_bytes(std::size_t size) {
    if (size > left_.size()) {
      throw ByteError("needs " + std::to_string(size) + " bytes where " + std::to_string(left_.size()) +
                      " are left");
    }
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  template <Plain T>
  T take() {
    T value{};
    std::memcpy(&value, take_bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }
  bool take_flag() {
    const auto flag = take<std::uint8_t>();
    if (flag > 1) throw ByteError("has a flag of " + std::to_string(flag));
    return flag == 1;
  }
  std::string take_text() { return std::string(take_bytes(take<std::uint32_t>())); }
  // The length of a list whose items take at least `item_size` bytes: never more than there can be.
  std::size_t take_count(std::size_t item_size) {
    const auto count = take<std::uint32_t>();
    if (count > left_.size() / item_size) {
      throw ByteError("lists " + std::to_string(count) + " items where " + std::to_string(left_.size()) +
                      " bytes are left");
    }
    return count;
  }
  std::size_t left() const { return left_.size(); }

 private:
  std::string_view left_;
};

}  // namespace mvfstrl
