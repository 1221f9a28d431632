// The two visitors of configuration structs. Each struct has one function
//
//   template <class V> void visit_fields(V& v, Struct& s) { v.field("mbps", s.mbps, kPositive); ... }
//
// and from it both directions follow: ConfigWriter exports a struct's defaults, ConfigReader parses a mapping
// strictly (every field present, none unknown, each value checked) and names the dotted key in each error:
// "scenarios[0].uplink.mbps.low: must be positive, got -3".
//
// A `knob` is a parameter of an algorithm; unlike a field it may be left out, and then has its default.
//
// Durations, sizes and rates are plain numbers whose unit is the end of the key: `_ms`, `_bytes`, `_mbps`.
#pragma once

#include <array>
#include <concepts>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/units.h"
#include "environment/value.h"

namespace mvfstrl {

class ConfigError : public std::invalid_argument {
 public:
  ConfigError(const std::string& key, const std::string& what) : std::invalid_argument(key + ": " + what) {}
};

// What a number must satisfy; `low` and `high` are inclusive unless `open_low`.
struct Check {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool open_low = false;
  const char* text = "";  // "positive", as in "must be positive, got -3"

  bool holds(double x) const { return (open_low ? x > low : x >= low) && x <= high; }
};
inline constexpr Check kAny{};
inline constexpr Check kPositive{.low = 0.0, .open_low = true, .text = "positive"};
inline constexpr Check kNonNegative{.low = 0.0, .text = "zero or more"};
inline constexpr Check kAtLeastOne{.low = 1.0, .text = "at least 1"};
inline constexpr Check kUnitOpenLow{
    .low = 0.0, .high = 1.0, .open_low = true, .text = "above 0 and at most 1"};
inline constexpr Check kFraction{.low = 0.0, .high = 1.0, .text = "between 0 and 1"};

// Names of an enumeration's values, for configuration and messages.
template <class E>
struct EnumName {
  E value;
  const char* name;
};

namespace config_detail {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsVariant : std::false_type {};
template <class... T>
struct IsVariant<std::variant<T...>> : std::true_type {};
template <class T>
concept Quantity = std::same_as<T, Duration> || std::same_as<T, ByteCount> || std::same_as<T, Bandwidth>;

double read_number(const Value& value, const std::string& path, const Check& check);
std::int64_t read_integer(const Value& value, const std::string& path, const Check& check);
bool read_bool(const Value& value, const std::string& path);
const std::string& read_string(const Value& value, const std::string& path);
const Value::List& read_list(const Value& value, const std::string& path);
const Value::Map& read_map(const Value& value, const std::string& path);
[[noreturn]] void unknown_choice(const std::string& path, const std::string& got,
                                 const std::vector<std::string>& known);

inline double to_number(Duration d) { return d.to_ms(); }
inline double to_number(ByteCount b) { return static_cast<double>(b.value()); }
inline double to_number(Bandwidth b) { return b.to_mbps(); }

}  // namespace config_detail

// Exports a struct as a mapping.
class ConfigWriter {
 public:
  template <class T>
  static Value write(T value) {
    ConfigWriter writer;
    visit_fields(writer, value);
    return Value(std::move(writer.map_));
  }

  template <class T>
  void field(const char* key, T& value, const Check& = kAny) {
    map_.emplace_back(key, to_value(value));
  }
  template <class T>
  void knob(const char* key, T& value, const Check& check = kAny) {
    field(key, value, check);
  }
  template <class E, std::size_t N>
  void choice_knob(const char* key, E& value, const EnumName<E> (&names)[N]) {
    choice(key, value, names);
  }
  template <class E, std::size_t N>
  void choice(const char* key, E& value, const EnumName<E> (&names)[N]) {
    for (const auto& entry : names) {
      if (entry.value == value) map_.emplace_back(key, Value(entry.name));
    }
  }
  // A variant: the alternative's name under `tag`, its fields beside it.
  template <class... Ts>
  void alternatives(const char* tag, std::variant<Ts...>& value,
                    const std::array<const char*, sizeof...(Ts)>& names) {
    map_.emplace_back(tag, Value(names[value.index()]));
    std::visit([this](auto& alternative) { visit_fields(*this, alternative); }, value);
  }

 private:
  template <class T>
  static Value to_value(T& value) {
    using namespace config_detail;
    if constexpr (std::same_as<T, bool> || std::same_as<T, double> || std::same_as<T, std::string>) {
      return Value(value);
    } else if constexpr (std::integral<T>) {
      return Value(static_cast<std::int64_t>(value));
    } else if constexpr (std::same_as<T, ByteCount>) {
      return Value(value.value());
    } else if constexpr (Quantity<T>) {
      return Value(to_number(value));
    } else if constexpr (IsOptional<T>::value) {
      return value ? to_value(*value) : Value();
    } else if constexpr (IsVector<T>::value) {
      Value::List list;
      for (auto& item : value) list.push_back(to_value(item));
      return Value(std::move(list));
    } else {
      return write(value);
    }
  }

  Value::Map map_;
};

// Parses a mapping into a struct.
class ConfigReader {
 public:
  // `path` is the dotted name of the mapping itself; empty at the top.
  template <class T>
  static T read(const Value& value, const std::string& path = "") {
    T result;
    read_into(result, value, path, kAny);
    return result;
  }

  template <class T>
  void field(const char* key, T& value, const Check& check = kAny) {
    read_into(value, take(key), path_of(key), check);
  }
  // A parameter of an algorithm: left out, it keeps its default.
  template <class T>
  void knob(const char* key, T& value, const Check& check = kAny) {
    if (has(key)) field(key, value, check);
  }
  template <class E, std::size_t N>
  void choice_knob(const char* key, E& value, const EnumName<E> (&names)[N]) {
    if (has(key)) choice(key, value, names);
  }
  template <class E, std::size_t N>
  void choice(const char* key, E& value, const EnumName<E> (&names)[N]) {
    const std::string& got = config_detail::read_string(take(key), path_of(key));
    std::vector<std::string> known;
    for (const auto& entry : names) {
      if (got == entry.name) {
        value = entry.value;
        return;
      }
      known.emplace_back(entry.name);
    }
    config_detail::unknown_choice(path_of(key), got, known);
  }
  template <class... Ts>
  void alternatives(const char* tag, std::variant<Ts...>& value,
                    const std::array<const char*, sizeof...(Ts)>& names) {
    const std::string& got = config_detail::read_string(take(tag), path_of(tag));
    if (!select(value, got, names, std::index_sequence_for<Ts...>{})) {
      config_detail::unknown_choice(path_of(tag), got, {names.begin(), names.end()});
    }
  }
  // The dotted name of one of this mapping's keys, for errors of checks across fields.
  std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

 private:
  ConfigReader(const Value& value, std::string path);
  const Value& take(const std::string& key);
  bool has(const std::string& key) const;
  void finish() const;  // refuses what no field has asked for

  template <class... Ts, std::size_t... I>
  bool select(std::variant<Ts...>& value, const std::string& got,
              const std::array<const char*, sizeof...(Ts)>& names, std::index_sequence<I...>) {
    return ((got == names[I] && (visit_fields(*this, value.template emplace<I>()), true)) || ...);
  }

  template <class T>
  static void read_into(T& target, const Value& value, const std::string& path, const Check& check) {
    using namespace config_detail;
    if constexpr (std::same_as<T, bool>) {
      target = read_bool(value, path);
    } else if constexpr (std::same_as<T, double>) {
      target = read_number(value, path, check);
    } else if constexpr (std::same_as<T, std::string>) {
      target = read_string(value, path);
    } else if constexpr (std::integral<T>) {
      target = read_integral<T>(value, path, check);
    } else if constexpr (std::same_as<T, Duration>) {
      target = Duration::from_ms_f(read_number(value, path, check));
    } else if constexpr (std::same_as<T, ByteCount>) {
      target = ByteCount(read_integer(value, path, check));
    } else if constexpr (std::same_as<T, Bandwidth>) {
      target = Bandwidth::from_mbps(read_number(value, path, check));
    } else if constexpr (IsOptional<T>::value) {
      target.reset();
      if (!value.is_none()) read_into(target.emplace(), value, path, check);
    } else if constexpr (IsVector<T>::value) {
      read_list_into(target, value, path, check);
    } else {
      read_struct_into(target, value, path, check);
    }
  }

  template <class T>
  static T read_integral(const Value& value, const std::string& path, const Check& check) {
    const std::int64_t got = config_detail::read_integer(value, path, check);
    if (!std::in_range<T>(got)) throw ConfigError(path, "out of range, got " + std::to_string(got));
    return static_cast<T>(got);
  }
  template <class T>
  static void read_list_into(std::vector<T>& target, const Value& value, const std::string& path,
                             const Check& check) {
    target.clear();
    for (const Value& item : config_detail::read_list(value, path)) {
      T element{};
      read_into(element, item, path + "[" + std::to_string(target.size()) + "]", check);
      target.push_back(std::move(element));
    }
  }
  // A struct may offer check(path, Check): what its field's place asks of its numbers (a Range).
  template <class T>
  static void read_struct_into(T& target, const Value& value, const std::string& path, const Check& check) {
    ConfigReader reader(value, path);
    visit_fields(reader, target);
    reader.finish();
    if constexpr (requires { validate(target, path, check); }) validate(target, path, check);
    if constexpr (requires { validate(target, path); }) validate(target, path);
  }

  const Value::Map& map_;
  std::string path_;
  std::vector<bool> taken_;
};

}  // namespace mvfstrl
