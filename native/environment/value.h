// A tree of plain values (what JSON can say): the neutral form in which configuration and reports cross
// the language boundary, so that nothing below native/bindings knows of Python.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mvfstrl {

class Value {
 public:
  using List = std::vector<Value>;
  // Ordered as written, so that exported defaults read in the order of their declaration.
  using Map = std::vector<std::pair<std::string, Value>>;
  using Data = std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map>;

  Value() = default;  // none
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(List value) : data_(std::move(value)) {}
  Value(Map value) : data_(std::move(value)) {}

  const Data& data() const { return data_; }
  bool is_none() const { return std::holds_alternative<std::monostate>(data_); }
  template <class T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  template <class T>
  T* as() {
    return std::get_if<T>(&data_);
  }
  // The entry of that name, or null where this is no map or has none.
  const Value* find(const std::string& key) const;
  Value* find(const std::string& key);
  // For messages: "-3", "'lte'", "a list", "none".
  std::string describe() const;

 private:
  Data data_;
};

}  // namespace mvfstrl
