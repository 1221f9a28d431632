#include "tools/json_member.h"

#include <cstddef>

namespace mvfstrl::tools {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::size_t skip_space(std::string_view text, std::size_t at) {
  const std::size_t found = text.find_first_not_of(kSpace, at);
  return found == std::string_view::npos ? text.size() : found;
}

// The end of the string that starts at the quote text[at].
std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at < text.size() ? at + 1 : text.size();
}

// The end of the value that starts at text[at]: where a comma or bracket of its surroundings follows.
std::size_t skip_value(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) break;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
  }
  return at;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t end = text.find_last_not_of(kSpace);
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

}  // namespace

std::optional<std::string_view> json_member(std::string_view document, std::string_view key) {
  std::size_t at = skip_space(document, 0);
  if (at >= document.size() || document[at] != '{') return std::nullopt;
  do {
    at = skip_space(document, at + 1);
    if (at >= document.size() || document[at] != '"') return std::nullopt;
    const std::size_t end = skip_string(document, at);
    const bool found = document.substr(at + 1, end - at - 2) == key;
    at = skip_space(document, end);
    if (at >= document.size() || document[at] != ':') return std::nullopt;
    const std::size_t begin = skip_space(document, at + 1);
    at = skip_value(document, begin);
    if (found && at < document.size()) return trimmed(document.substr(begin, at - begin));
  } while (at < document.size() && document[at] == ',');
  return std::nullopt;
}

}  // namespace mvfstrl::tools
