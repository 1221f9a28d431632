#include "observe/observation_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <string_view>

#include "common/rng.h"
#include "observe/action_set.h"
#include "observe/fields.h"
#include "observe/observer.h"
#include "observe/reward.h"

namespace mvfstrl {
namespace {

// The shortest text that reads back as the same number, whatever the locale.
template <class Number>
std::string text(Number value) {
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

std::string concat(std::initializer_list<std::string_view> parts) {
  std::string result;
  for (const std::string_view part : parts) result += part;
  return result;
}

std::string shown_unit(const FieldInfo& field) {
  if (field.unit == "ns") return "100 ms";
  if (field.unit == "bytes") return "1000 bytes";
  if (field.unit == "bytes/s") return "1000 bytes / 100 ms";
  return std::string(field.unit);
}

void add_statistics(std::vector<ObservationElement>& elements) {
  for (const FieldInfo& field : kFields) {
    for (std::size_t i = kStatisticNames.size() - statistic_count(field.kind); i < kStatisticNames.size();
         ++i) {
      elements.push_back({std::string(field.name) + "." + std::string(kStatisticNames[i]), shown_unit(field),
                          0.0F, field.high});
    }
  }
}

void add_history(std::vector<ObservationElement>& elements, int history,
                 const std::vector<std::string>& actions) {
  for (int age = 1; age <= history; ++age) {
    const std::string past = "past" + text(age);
    for (const std::string& action : actions) {
      elements.push_back({past + ".action[" + action + "]", "flag", 0.0F, 1.0F});
    }
    elements.push_back({past + ".window", "1000 bytes", 0.0F, kByteHigh});
  }
}

std::string range(const ObservationElement& element) {
  return concat({"[", text(element.low), ", ", text(element.high), "] in ", element.unit});
}

std::string joined(const std::vector<std::string>& items, std::size_t most = std::string::npos) {
  std::string result;
  for (std::size_t i = 0; i < std::min(items.size(), most); ++i) result += (i == 0 ? "" : ", ") + items[i];
  if (items.size() > most) result += " and " + text(items.size() - most) + " more";
  return result;
}

void compare(std::string& report, const char* what, const std::string& expected, const std::string& found) {
  if (expected != found) report += std::string(what) + ": expected " + expected + ", found " + found + "\n";
}

const ObservationElement* find(const ObservationSpec& spec, const std::string& name) {
  const auto it = std::find_if(spec.elements.begin(), spec.elements.end(),
                               [&name](const ObservationElement& element) { return element.name == name; });
  return it == spec.elements.end() ? nullptr : &*it;
}

// Names in `spec` that `other` lacks.
std::vector<std::string> names_missing_in(const ObservationSpec& other, const ObservationSpec& spec) {
  std::vector<std::string> names;
  for (const ObservationElement& element : spec.elements) {
    if (find(other, element.name) == nullptr) names.push_back(element.name);
  }
  return names;
}

void compare_elements(std::string& report, const ObservationSpec& expected, const ObservationSpec& found) {
  constexpr std::size_t kMostNames = 6;
  compare(report, "observation size", text(expected.elements.size()), text(found.elements.size()));
  const auto missing = names_missing_in(found, expected);
  const auto surplus = names_missing_in(expected, found);
  if (!missing.empty()) report += "missing elements: " + joined(missing, kMostNames) + "\n";
  if (!surplus.empty()) report += "unexpected elements: " + joined(surplus, kMostNames) + "\n";
  for (const ObservationElement& element : expected.elements) {
    const ObservationElement* other = find(found, element.name);
    if (other != nullptr) compare(report, element.name.c_str(), range(element), range(*other));
  }
  if (!missing.empty() || !surplus.empty()) return;
  for (std::size_t i = 0; i < std::min(expected.elements.size(), found.elements.size()); ++i) {
    if (expected.elements[i].name == found.elements[i].name) continue;
    report += "order: element " + text(i) + " expected " + expected.elements[i].name + ", found " +
              found.elements[i].name + "\n";
    return;
  }
}

}  // namespace

ObservationSpec make_observation_spec(const ObservationConfig& observation, const ActionConfig& actions,
                                      const RewardConfig& reward) {
  // The parts check the configuration as they would for a connection; any packet size serves.
  const ActionSet action_set(actions, ByteCount(1));
  const Observer observer(observation, action_set.size());
  const Reward checked_reward(reward);

  ObservationSpec spec;
  spec.actions = action_set.names();
  spec.reward = reward_name(reward);
  spec.pacing = actions.pacing;
  spec.window = observation.window_kind == WindowKind::kTime ? text(observation.window.to_ms()) + " ms"
                                                             : text(observation.window_events) + " events";
  spec.elements.reserve(observer.size());
  spec.elements.push_back({"no_events", "flag", 0.0F, 1.0F});
  add_statistics(spec.elements);
  add_history(spec.elements, observation.history, spec.actions);
  return spec;
}

std::uint64_t spec_hash(const ObservationSpec& spec) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  const auto feed = [&hash](std::string_view part) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    hash = (hash ^ 0xff) * 0x100000001b3ULL;  // a byte that no part holds ends each
  };
  feed(text(spec.version));
  feed(spec.dtype);
  feed(spec.window);
  feed(spec.reward);
  feed(spec.pacing ? "paced" : "unpaced");
  feed(text(spec.actions.size()));
  for (const std::string& action : spec.actions) feed(action);
  for (const ObservationElement& element : spec.elements) {
    feed(element.name);
    feed(range(element));
  }
  return mix64(hash);
}

std::string spec_difference(const ObservationSpec& expected, const ObservationSpec& found) {
  std::string report;
  compare(report, "version", text(expected.version), text(found.version));
  compare(report, "dtype", expected.dtype, found.dtype);
  compare(report, "window", expected.window, found.window);
  compare(report, "reward", expected.reward, found.reward);
  compare(report, "pacing", expected.pacing ? "true" : "false", found.pacing ? "true" : "false");
  compare(report, "actions", concat({"[", joined(expected.actions), "]"}),
          concat({"[", joined(found.actions), "]"}));
  compare_elements(report, expected, found);
  return report;
}

}  // namespace mvfstrl
