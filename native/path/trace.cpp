#include "path/trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace mvfstrl {
namespace {

[[noreturn]] void refuse(const std::string& name, std::size_t line, const std::string& reason) {
  throw std::invalid_argument(name + ":" + std::to_string(line) + ": " + reason);
}

std::string quoted(std::string_view text) { return std::string(1, '"').append(text).append(1, '"'); }

std::uint32_t parse_line(std::string_view text, const std::string& name, std::size_t line) {
  if (text.empty()) refuse(name, line, "blank line");
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    refuse(name, line, quoted(text) + " is too large");
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    refuse(name, line, quoted(text) + " is not an unsigned number of milliseconds");
  }
  return value;
}

}  // namespace

Trace::Trace(std::string name, std::vector<std::uint32_t> timestamps_ms)
    : name_(std::move(name)), timestamps_ms_(std::move(timestamps_ms)) {}

std::shared_ptr<const Trace> Trace::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::invalid_argument(path + ": cannot be opened");
  std::string text;
  std::array<char, 1 << 16> chunk;
  do {
    file.read(chunk.data(), chunk.size());
    text.append(chunk.data(), static_cast<std::size_t>(file.gcount()));
  } while (file);
  if (file.bad()) throw std::invalid_argument(path + ": cannot be read");
  return parse(text, path);
}

std::shared_ptr<const Trace> Trace::parse(const std::string& text, const std::string& name) {
  std::vector<std::uint32_t> timestamps_ms;
  std::size_t line = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t stop = std::min(text.find('\n', start), text.size());
    timestamps_ms.push_back(parse_line(std::string_view(text).substr(start, stop - start), name, ++line));
    start = stop + 1;
  }
  return from_timestamps(std::move(timestamps_ms), name);
}

std::shared_ptr<const Trace> Trace::from_timestamps(std::vector<std::uint32_t> timestamps_ms,
                                                    const std::string& name) {
  if (timestamps_ms.empty()) throw std::invalid_argument(name + ": empty, no opportunity in it");
  for (std::size_t i = 1; i < timestamps_ms.size(); ++i) {
    if (timestamps_ms[i] < timestamps_ms[i - 1]) {
      refuse(name, i + 1,
             std::to_string(timestamps_ms[i]) + " follows " + std::to_string(timestamps_ms[i - 1]) +
                 ": timestamps must not decrease");
    }
  }
  if (timestamps_ms.back() == 0) refuse(name, timestamps_ms.size(), "the last timestamp is 0: zero length");
  return std::shared_ptr<const Trace>(new Trace(name, std::move(timestamps_ms)));
}

}  // namespace mvfstrl
