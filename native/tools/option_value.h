// What stands behind an option of a command line.
#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace mvfstrl::tools {

// A command line that makes no sense; the message names the argument.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// All of `text`, as a finite number; none where it is none.
template <class Number>
std::optional<Number> parsed(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

// Throws UsageError unless `text` is a finite number of at least `least`.
template <class Number>
Number number(std::string_view option, std::string_view text, Number least) {
  const std::optional<Number> value = parsed<Number>(text);
  if (value && *value >= least) return *value;
  throw UsageError(std::string(option) + ": must be a number of at least " + std::to_string(least) +
                   ", got '" + std::string(text) + "'");
}

}  // namespace mvfstrl::tools
