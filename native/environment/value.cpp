#include "environment/value.h"

#include <sstream>

namespace mvfstrl {
namespace {

struct Describe {
  std::string operator()(std::monostate) const { return "none"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const {
    std::ostringstream text;
    text << value;
    return text.str();
  }
  std::string operator()(const std::string& value) const { return "'" + value + "'"; }
  std::string operator()(const Value::List&) const { return "a list"; }
  std::string operator()(const Value::Map&) const { return "a mapping"; }
};

}  // namespace

const Value* Value::find(const std::string& key) const {
  if (const Map* map = as<Map>()) {
    for (const auto& [name, value] : *map) {
      if (name == key) return &value;
    }
  }
  return nullptr;
}

Value* Value::find(const std::string& key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

std::string Value::describe() const { return std::visit(Describe{}, data_); }

}  // namespace mvfstrl
