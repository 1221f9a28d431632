#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy_file.h"
#include "tools/commands.h"
#include "tools/json_member.h"

namespace mvfstrl::tools {
namespace {

// The last four bytes: read_policy_file has found them right.
std::uint32_t checksum_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::uint32_t checksum = 0;
  file.seekg(-static_cast<std::streamoff>(sizeof checksum), std::ios::end);
  file.read(reinterpret_cast<char*>(&checksum), sizeof checksum);
  if (!file) throw PolicyFileError(path, "cannot be read");
  return checksum;
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : " ") + item;
  return text;
}

std::string network_of(const NetworkDescription& network) {
  std::string text = std::to_string(network.observation_size) + " inputs";
  if (network.job_inputs > 0) text += " and " + std::to_string(network.job_inputs) + " scenarios";
  const std::string width = std::to_string(network.hidden_size);
  if (network.layers > 0) text += ", " + std::to_string(network.layers) + " x " + width + " ReLU";
  if (network.lstm_layers > 0) text += ", " + std::to_string(network.lstm_layers) + " x " + width + " LSTM";
  return text + ", " + std::to_string(network.num_actions) + " logits";
}

std::size_t count_weights(const NetworkWeights& weights) {
  std::size_t count = weights.head.weight.values.size() + weights.head.bias.size();
  for (const LinearWeights& layer : weights.torso) count += layer.weight.values.size() + layer.bias.size();
  for (const LstmWeights& layer : weights.lstm) {
    count += layer.input.values.size() + layer.recurrent.values.size() + layer.bias.size();
  }
  return count;
}

void print_elements(const ObservationSpec& spec, std::FILE* out) {
  std::fprintf(out, "\n%-28s %-24s %12s %12s\n", "element", "unit", "low", "high");
  for (const ObservationElement& element : spec.elements) {
    std::fprintf(out, "%-28s %-24s %12g %12g\n", element.name.c_str(), element.unit.c_str(),
                 static_cast<double>(element.low), static_cast<double>(element.high));
  }
}

// JSON without the breaks and indents that Python writes it with.
std::string on_one_line(std::string_view json) {
  std::string line;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '\n') {
      i = std::min(json.find_first_not_of(' ', i + 1), json.size()) - 1;
      if (line.ends_with(',')) line += ' ';
    } else {
      line += json[i];
    }
  }
  return line;
}

void print_training(const std::string& text, std::FILE* out) {
  for (const auto& [label, key] :
       {std::pair{"trained steps", "trained_steps"}, std::pair{"scenarios", "jobs"}}) {
    if (const auto value = json_member(text, key)) {
      std::fprintf(out, "%-14s %s\n", label, on_one_line(*value).c_str());
    }
  }
}

}  // namespace

void info(const Arguments& arguments, std::FILE* out) {
  const std::string& path = arguments.files[0];
  const PolicyFile file = read_policy_file(path);
  const PolicyDescription& description = file.description;
  if (arguments.json) {
    std::fprintf(out, "%s", description.text.c_str());
    return;
  }
  const ObservationSpec& spec = description.spec;
  const ActionConfig& actions = description.actions;
  std::fprintf(out, "%-14s %s, %ju bytes, format %u, checksum %08x\n", "file", path.c_str(),
               std::filesystem::file_size(path), kPolicyFormatVersion, checksum_of(path));
  std::fprintf(out, "%-14s %s; %zu weights, %s\n", "network", network_of(description.network).c_str(),
               count_weights(file.weights), name_of(file.weights.precision()));
  std::fprintf(out, "%-14s %s\n", "actions", joined(spec.actions).c_str());
  std::fprintf(out, "%-14s %d packets at first, %d to %d%s\n", "window", actions.initial_window_packets,
               actions.min_window_packets, actions.max_window_packets, actions.pacing ? ", paced" : "");
  std::fprintf(out, "%-14s %zu elements of %s, every %s, with the last %d actions\n", "observation",
               spec.elements.size(), spec.dtype.c_str(), spec.window.c_str(),
               description.observation.history);
  std::fprintf(out, "%-14s version %d, hash %016jx\n", "spec", spec.version,
               static_cast<std::uintmax_t>(spec_hash(spec)));
  std::fprintf(out, "%-14s %s\n", "reward", description.reward.c_str());
  print_training(description.text, out);
  if (arguments.elements) print_elements(spec, out);
}

}  // namespace mvfstrl::tools
