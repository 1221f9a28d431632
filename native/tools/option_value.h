// What stands behind an option of a command line.
#pragma once

#include <charconv>
#include <cmath>
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

// Throws UsageError unless `text` is a finite number of at least `least`.
template <class Number>
Number number(std::string_view option, std::string_view text, Number least) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool usable = error == std::errc{} && end == text.data() + text.size() && value >= least;
  if constexpr (std::is_floating_point_v<Number>) usable = usable && std::isfinite(value);
  if (!usable) {
    throw UsageError(std::string(option) + ": must be a number of at least " + std::to_string(least) +
                     ", got '" + std::string(text) + "'");
  }
  return value;
}

}  // namespace mvfstrl::tools
