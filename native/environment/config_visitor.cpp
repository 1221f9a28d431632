#include "environment/config_visitor.h"

#include <algorithm>
#include <cmath>

namespace mvfstrl {
namespace config_detail {
namespace {

[[noreturn]] void wrong_type(const std::string& path, const char* wanted, const Value& got) {
  throw ConfigError(path, std::string("must be ") + wanted + ", got " + got.describe());
}

void require(const Check& check, double number, const Value& value, const std::string& path) {
  if (!check.holds(number)) wrong_type(path, check.text, value);
}

// Levenshtein distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

double read_number(const Value& value, const std::string& path, const Check& check) {
  double number = 0.0;
  if (const auto* real = value.as<double>()) {
    number = *real;
  } else if (const auto* integer = value.as<std::int64_t>()) {
    number = static_cast<double>(*integer);
  } else {
    wrong_type(path, "a number", value);
  }
  if (!std::isfinite(number)) wrong_type(path, "a finite number", value);
  require(check, number, value, path);
  return number;
}

std::int64_t read_integer(const Value& value, const std::string& path, const Check& check) {
  std::int64_t integer = 0;
  if (const auto* exact = value.as<std::int64_t>()) {
    integer = *exact;
  } else if (const auto* real = value.as<double>();
             real != nullptr && *real == std::floor(*real) && std::abs(*real) < 0x1p53) {
    integer = static_cast<std::int64_t>(*real);  // 50.0 is an integer to anyone but a parser
  } else {
    wrong_type(path, "an integer", value);
  }
  require(check, static_cast<double>(integer), value, path);
  return integer;
}

bool read_bool(const Value& value, const std::string& path) {
  const auto* flag = value.as<bool>();
  if (flag == nullptr) wrong_type(path, "true or false", value);
  return *flag;
}

const std::string& read_string(const Value& value, const std::string& path) {
  const auto* text = value.as<std::string>();
  if (text == nullptr) wrong_type(path, "a string", value);
  return *text;
}

const Value::List& read_list(const Value& value, const std::string& path) {
  const auto* list = value.as<Value::List>();
  if (list == nullptr) wrong_type(path, "a list", value);
  return *list;
}

const Value::Map& read_map(const Value& value, const std::string& path) {
  const auto* map = value.as<Value::Map>();
  if (map == nullptr) wrong_type(path.empty() ? "configuration" : path, "a mapping", value);
  return *map;
}

void unknown_choice(const std::string& path, const std::string& got, const std::vector<std::string>& known) {
  std::string text = "unknown choice '" + got + "', known are";
  for (const std::string& name : known) text += (&name == &known.front() ? " " : ", ") + name;
  throw ConfigError(path, text);
}

}  // namespace config_detail

ConfigReader::ConfigReader(const Value& value, std::string path)
    : map_(config_detail::read_map(value, path)), path_(std::move(path)), taken_(map_.size(), false) {}

const Value& ConfigReader::take(const std::string& key) {
  for (std::size_t i = 0; i < map_.size(); ++i) {
    if (map_[i].first == key) {
      taken_[i] = true;
      return map_[i].second;
    }
  }
  // A misspelt key shows twice, as missing and as unknown: name the one that was written.
  for (const auto& [written, value] : map_) {
    if (config_detail::distance(written, key) <= 2) {
      throw ConfigError(path_of(written), "unknown key, did you mean '" + key + "'?");
    }
  }
  throw ConfigError(path_of(key), "missing key");
}

bool ConfigReader::has(const std::string& key) const {
  return std::any_of(map_.begin(), map_.end(), [&](const auto& entry) { return entry.first == key; });
}

void ConfigReader::finish() const {
  for (std::size_t i = 0; i < map_.size(); ++i) {
    if (!taken_[i]) throw ConfigError(path_of(map_[i].first), "unknown key");
  }
}

}  // namespace mvfstrl
