// Enough of JSON to show a member of a document that Python wrote: nothing is decided by it.
#pragma once

#include <optional>
#include <string_view>

namespace mvfstrl::tools {

// The text of the value that the outermost object of `document` has under `key` (which needs no escapes);
// nothing where there is none or the document is no such object.
std::optional<std::string_view> json_member(std::string_view document, std::string_view key);

}  // namespace mvfstrl::tools
