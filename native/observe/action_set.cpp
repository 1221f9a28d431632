#include "observe/action_set.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace mvfstrl {
namespace {

// Above every window that a path could want, and low enough that no product of ours overflows.
constexpr int kMostPackets = 1'000'000;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

[[noreturn]] void refuse(std::string_view entry, std::size_t position, const std::string& why) {
  throw std::invalid_argument("actions.list[" + std::to_string(position) + "]: '" + std::string(entry) +
                              "' " + why);
}

// The whole of `text` as a number, or nothing.
template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void check_bounds(const ActionConfig& config) {
  const auto check = [](const char* key, int value, int low, int high) {
    if (value >= low && value <= high) return;
    throw std::invalid_argument("actions." + std::string(key) + " must be between " + std::to_string(low) +
                                " and " + std::to_string(high) + " packets, got " + std::to_string(value));
  };
  check("max_window_packets", config.max_window_packets, 1, kMostPackets);
  check("min_window_packets", config.min_window_packets, 1, config.max_window_packets);
  check("initial_window_packets", config.initial_window_packets, config.min_window_packets,
        config.max_window_packets);
}

}  // namespace

ActionSet::ActionSet(const ActionConfig& config, ByteCount packet_size) {
  if (packet_size <= ByteCount::zero()) throw std::invalid_argument("packet size must be positive");
  check_bounds(config);
  min_ = packet_size * config.min_window_packets;
  max_ = packet_size * config.max_window_packets;
  initial_ = packet_size * config.initial_window_packets;

  if (config.list.empty()) throw std::invalid_argument("actions.list is empty: it must start with '0'");
  for (std::size_t position = 0; position < config.list.size(); ++position) {
    const std::string entry(trimmed(config.list[position]));
    if (position == 0 && entry != "0") refuse(entry, 0, "must be '0': the first action keeps the window");
    if (std::find(names_.begin(), names_.end(), entry) != names_.end()) {
      refuse(entry, position, "is listed twice");
    }
    actions_.push_back(parse(entry, position, packet_size));
    names_.push_back(entry);
  }
}

ActionSet::Action ActionSet::parse(const std::string& text, std::size_t position, ByteCount packet_size) {
  if (text == "0") return {};
  if (text.empty()) refuse(text, position, "is empty");
  const char op = text.front();
  const std::string_view operand = std::string_view(text).substr(1);
  switch (op) {
    case '+':
    case '-': {
      const auto packets = number<int>(operand);
      if (!packets || *packets < 1 || *packets > kMostPackets) {
        refuse(
            text, position,
            "needs a whole number of packets from 1 to " + std::to_string(kMostPackets) + " after its sign");
      }
      return {1.0, packet_size * (op == '+' ? *packets : -*packets)};
    }
    case '*':
    case '/': {
      const auto factor = number<double>(operand);
      if (!factor || !std::isfinite(*factor) || *factor < 1e-3 || *factor > 1e3) {
        refuse(text, position, "needs a factor from 0.001 to 1000 after its operator");
      }
      return {op == '*' ? *factor : 1.0 / *factor, ByteCount::zero()};
    }
    default:
      refuse(text, position,
             "must begin with one of + - * / (YAML reads an unquoted +10 as 10: write \"+10\" with quotes)");
  }
}

ByteCount ActionSet::apply(std::size_t action, ByteCount window) const {
  assert(action < actions_.size());
  const Action& chosen = actions_[action];
  const ByteCount scaled(std::llround(static_cast<double>(window.value()) * chosen.factor));
  return std::clamp(scaled + chosen.step, min_, max_);
}

WindowLimits window_limits(const ActionConfig& config, ByteCount packet_size) {
  return {.packet_size = packet_size,
          .initial_packets = config.initial_window_packets,
          .minimum_packets = config.min_window_packets,
          .maximum_packets = config.max_window_packets};
}

}  // namespace mvfstrl
