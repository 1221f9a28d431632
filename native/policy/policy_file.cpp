#include "policy/policy_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "observe/reward.h"
#include "policy/byte_stream.h"

namespace mvfstrl {
namespace {

constexpr std::string_view kMagic = "MVFSTRLP";
constexpr std::size_t kHeaderSize = kMagic.size() + sizeof(std::uint32_t) + sizeof(std::uint64_t);
constexpr std::uint32_t kNetworkKind = 1;  // the one that NetworkDescription describes

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320U : 0U);
    table[i] = value;
  }
  return table;
}

std::uint32_t crc32(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ (crc >> 8);
  return crc ^ 0xffffffffU;
}

// The configuration of that name: a spec holds no more of a reward than its name.
template <std::size_t kIndex = 0>
RewardConfig reward_named(const std::string& name, const std::string& known = "") {
  if constexpr (kIndex == std::variant_size_v<RewardConfig>) {
    throw std::invalid_argument("reward '" + name + "' is unknown; there are " + known);
  } else {
    const RewardConfig reward(std::in_place_index<kIndex>);
    const std::string found(reward_name(reward));
    return found == name ? reward : reward_named<kIndex + 1>(name, known + (kIndex ? ", " : "") + found);
  }
}

void check_spec_fits(const NetworkDescription& d, const ObservationSpec& spec) {
  const auto check = [](const char* what, std::int32_t network, std::size_t in_spec) {
    if (static_cast<std::size_t>(network) == in_spec) return;
    throw std::invalid_argument("the network has " + std::to_string(network) + " " + what +
                                " where its spec has " + std::to_string(in_spec));
  };
  check("inputs", d.observation_size, spec.elements.size());
  check("actions", d.num_actions, spec.actions.size());
}

// --- sections ---

void put_floats(ByteWriter& out, const std::vector<float>& values) {
  for (const float value : values) out.put(value);
}
void take_floats(ByteReader& in, std::vector<float>& values, std::size_t size) {
  const std::string_view bytes = in.take_bytes(size * sizeof(float));
  values.resize(size);
  std::memcpy(values.data(), bytes.data(), bytes.size());
}

void put_matrix(ByteWriter& out, const Matrix& matrix) {
  out.put(static_cast<std::uint8_t>(matrix.precision));
  if (matrix.precision == Precision::kFloat32) return put_floats(out, matrix.values);
  for (const float value : matrix.values) out.put(bfloat16_bits(value));
}
void take_matrix(ByteReader& in, Matrix& matrix, std::size_t size) {
  const auto precision = in.take<std::uint8_t>();
  if (precision > static_cast<std::uint8_t>(Precision::kBfloat16)) {
    throw ByteError("has a matrix of unknown precision " + std::to_string(precision));
  }
  matrix.precision = static_cast<Precision>(precision);
  if (matrix.precision == Precision::kFloat32) return take_floats(in, matrix.values, size);
  const std::string_view bytes = in.take_bytes(size * sizeof(std::uint16_t));
  ByteReader halves(bytes);
  matrix.values.resize(size);
  for (float& value : matrix.values) {
    value = std::bit_cast<float>(std::uint32_t{halves.take<std::uint16_t>()} << 16);
  }
}

void put_network(ByteWriter& out, const NetworkDescription& d) {
  out.put(kNetworkKind);
  for (const std::int32_t size :
       {d.observation_size, d.num_actions, d.job_inputs, d.layers, d.hidden_size, d.lstm_layers}) {
    out.put(size);
  }
}
void take_network(ByteReader& in, NetworkDescription& d) {
  const auto kind = in.take<std::uint32_t>();
  if (kind != kNetworkKind) {
    throw ByteError("describes an unknown network, kind " + std::to_string(kind) + " (this program knows " +
                    std::to_string(kNetworkKind) + ")");
  }
  for (std::int32_t* size :
       {&d.observation_size, &d.num_actions, &d.job_inputs, &d.layers, &d.hidden_size, &d.lstm_layers}) {
    *size = in.take<std::int32_t>();
  }
  check_sizes(d);
}

void put_texts(ByteWriter& out, const std::vector<std::string>& texts) {
  out.put(static_cast<std::uint32_t>(texts.size()));
  for (const std::string& text : texts) out.put_text(text);
}
std::vector<std::string> take_texts(ByteReader& in) {
  std::vector<std::string> texts(in.take_count(sizeof(std::uint32_t)));
  for (std::string& text : texts) text = in.take_text();
  return texts;
}

void put_spec(ByteWriter& out, const PolicyDescription& d) {
  out.put(static_cast<std::uint8_t>(d.observation.window_kind));
  out.put(d.observation.window.ns());
  out.put(std::int32_t{d.observation.window_events});
  out.put(std::int32_t{d.observation.history});
  put_texts(out, d.actions.list);
  out.put(std::int32_t{d.actions.initial_window_packets});
  out.put(std::int32_t{d.actions.min_window_packets});
  out.put(std::int32_t{d.actions.max_window_packets});
  out.put(d.actions.pacing);
  out.put_text(d.reward);

  out.put(std::int32_t{d.spec.version});
  out.put_text(d.spec.dtype);
  out.put_text(d.spec.window);
  out.put_text(d.spec.reward);
  out.put(d.spec.pacing);
  put_texts(out, d.spec.actions);
  out.put(static_cast<std::uint32_t>(d.spec.elements.size()));
  for (const ObservationElement& element : d.spec.elements) {
    out.put_text(element.name);
    out.put_text(element.unit);
    out.put(element.low);
    out.put(element.high);
  }
  out.put(spec_hash(d.spec));
}

ObservationSpec take_made_spec(ByteReader& in) {
  ObservationSpec spec;
  spec.version = in.take<std::int32_t>();
  spec.dtype = in.take_text();
  spec.window = in.take_text();
  spec.reward = in.take_text();
  spec.pacing = in.take_flag();
  spec.actions = take_texts(in);
  spec.elements.resize(in.take_count(2 * sizeof(std::uint32_t) + 2 * sizeof(float)));
  for (ObservationElement& element : spec.elements) {
    element.name = in.take_text();
    element.unit = in.take_text();
    element.low = in.take<float>();
    element.high = in.take<float>();
  }
  if (in.take<std::uint64_t>() != spec_hash(spec)) throw ByteError("has a spec whose hash is another's");
  return spec;
}

void take_spec(ByteReader& in, PolicyDescription& d) {
  const auto kind = in.take<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(WindowKind::kCount)) {
    throw ByteError("has windows of unknown kind " + std::to_string(kind));
  }
  d.observation.window_kind = static_cast<WindowKind>(kind);
  d.observation.window = Duration::from_ns(in.take<std::int64_t>());
  d.observation.window_events = in.take<std::int32_t>();
  d.observation.history = in.take<std::int32_t>();
  d.actions.list = take_texts(in);
  d.actions.initial_window_packets = in.take<std::int32_t>();
  d.actions.min_window_packets = in.take<std::int32_t>();
  d.actions.max_window_packets = in.take<std::int32_t>();
  d.actions.pacing = in.take_flag();
  d.reward = in.take_text();
  d.spec = take_made_spec(in);
  // Not more of it than the spec shows: what follows makes a spec of this configuration.
  if (d.observation.history < 0 || std::cmp_greater(d.observation.history, d.spec.elements.size())) {
    throw ByteError("has a history of " + std::to_string(d.observation.history) + " for " +
                    std::to_string(d.spec.elements.size()) + " elements");
  }
}

void put_weights(ByteWriter& out, const NetworkDescription& d, const NetworkWeights& weights) {
  visit_layers(
      d, weights, [&](const auto&, const Matrix& matrix, std::size_t) { put_matrix(out, matrix); },
      [&](const auto&, const std::vector<float>& values, std::size_t) { put_floats(out, values); });
}
void take_weights(ByteReader& in, const NetworkDescription& d, NetworkWeights& weights) {
  weights.torso.resize(static_cast<std::size_t>(d.layers));
  weights.lstm.resize(static_cast<std::size_t>(d.lstm_layers));
  visit_layers(
      d, weights, [&](const auto&, Matrix& matrix, std::size_t size) { take_matrix(in, matrix, size); },
      [&](const auto&, std::vector<float>& values, std::size_t size) { take_floats(in, values, size); });
}

template <class Put>
void put_section(ByteWriter& out, std::string_view name, const Put& put) {
  ByteWriter content;
  put(content);
  out.put_bytes(name);
  out.put(static_cast<std::uint64_t>(content.bytes().size()));
  out.put_bytes(content.bytes());
}
template <class Take>
void take_section(ByteReader& in, const std::string& name, const Take& take) {
  try {
    const std::string found(in.take_bytes(name.size()));
    if (found != name) throw ByteError("is not where it belongs");
    const auto size = in.take<std::uint64_t>();
    ByteReader content(in.take_bytes(size));
    take(content);
    if (content.left() > 0) throw ByteError("has " + std::to_string(content.left()) + " bytes too many");
  } catch (const ByteError& error) {
    throw ByteError("section " + name + " " + error.what());
  }
}

// Of the whole file; returns the sections.
std::string_view checked_sections(std::string_view bytes, const std::string& name) {
  if (bytes.size() < kHeaderSize || bytes.substr(0, kMagic.size()) != kMagic) {
    const bool torn = kMagic.starts_with(bytes.substr(0, kMagic.size())) && !bytes.empty();
    throw PolicyFileError(name,
                          torn ? "torn: only its first " + std::to_string(bytes.size()) + " bytes are there"
                               : "not an exported policy (policy.mvfstrl)");
  }
  ByteReader in(bytes.substr(kMagic.size()));
  const auto version = in.take<std::uint32_t>();
  if (version != kPolicyFormatVersion) {
    throw PolicyFileError(name, "has format version " + std::to_string(version) + ", this program reads " +
                                    std::to_string(kPolicyFormatVersion) + ": export the policy again");
  }
  const auto size = in.take<std::uint64_t>();
  if (bytes.size() < size) {
    throw PolicyFileError(name, "torn: only " + std::to_string(bytes.size()) + " of " + std::to_string(size) +
                                    " bytes are there");
  }
  const std::size_t end = bytes.size() - sizeof(std::uint32_t);
  if (bytes.size() != size || end < kHeaderSize ||
      ByteReader(bytes.substr(end)).take<std::uint32_t>() != crc32(bytes.substr(0, end))) {
    throw PolicyFileError(name, "damaged: its checksum does not match its content");
  }
  return bytes.substr(kHeaderSize, end - kHeaderSize);
}

PolicyFile decode_sections(std::string_view sections) {
  ByteReader in(sections);
  PolicyFile file;
  PolicyDescription& d = file.description;
  take_section(in, "NETW", [&](ByteReader& content) { take_network(content, d.network); });
  take_section(in, "SPEC", [&](ByteReader& content) { take_spec(content, d); });
  take_section(in, "NORM", [&](ByteReader& content) {
    const auto size = static_cast<std::size_t>(d.network.observation_size);
    take_floats(content, file.weights.mean, size);
    take_floats(content, file.weights.scale, size);
  });
  take_section(in, "WGTS", [&](ByteReader& content) { take_weights(content, d.network, file.weights); });
  take_section(in, "TEXT", [&](ByteReader& content) { d.text = content.take_bytes(content.left()); });
  if (in.left() > 0) throw ByteError("has " + std::to_string(in.left()) + " bytes after its last section");
  return file;
}

}  // namespace

void PolicyDescription::require_spec(const ObservationSpec& expected, const std::string& name) const {
  if (expected == spec) return;
  throw PolicyFileError(name,
                        "made for another observation or action spec:\n" + spec_difference(expected, spec));
}

void PolicyDescription::require_offer(const ObservationConfig& shown, const ActionConfig& offered,
                                      const std::string& name) const {
  ObservationSpec expected = make_observation_spec(shown, offered, LogRatioReward{});
  expected.reward = spec.reward;
  require_spec(expected, name);
}

std::string encode_policy(PolicyFile file) {
  PolicyDescription& d = file.description;
  d.spec = make_observation_spec(d.observation, d.actions, reward_named(d.reward));
  check_spec_fits(d.network, d.spec);
  check_network(d.network, file.weights);

  ByteWriter sections;
  put_section(sections, "NETW", [&](ByteWriter& out) { put_network(out, d.network); });
  put_section(sections, "SPEC", [&](ByteWriter& out) { put_spec(out, d); });
  put_section(sections, "NORM", [&](ByteWriter& out) {
    put_floats(out, file.weights.mean);
    put_floats(out, file.weights.scale);
  });
  put_section(sections, "WGTS", [&](ByteWriter& out) { put_weights(out, d.network, file.weights); });
  put_section(sections, "TEXT", [&](ByteWriter& out) { out.put_bytes(d.text); });

  ByteWriter whole;
  whole.put_bytes(kMagic);
  whole.put(kPolicyFormatVersion);
  whole.put(static_cast<std::uint64_t>(kHeaderSize + sections.bytes().size() + sizeof(std::uint32_t)));
  whole.put_bytes(sections.bytes());
  whole.put(crc32(whole.bytes()));
  return whole.bytes();
}

PolicyFile decode_policy(std::string_view bytes, const std::string& name) {
  const std::string_view sections = checked_sections(bytes, name);
  try {
    PolicyFile file = decode_sections(sections);
    const PolicyDescription& d = file.description;
    d.require_spec(make_observation_spec(d.observation, d.actions, reward_named(d.reward)), name);
    check_spec_fits(d.network, d.spec);
    return file;
  } catch (const ByteError& error) {
    throw PolicyFileError(name, error.what());
  } catch (const std::invalid_argument& error) {  // of a configuration or a size
    throw PolicyFileError(name, error.what());
  }
}

namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FileHandle = std::unique_ptr<std::FILE, Close>;

std::string reason() { return std::strerror(errno); }

}  // namespace

void write_policy_file(const std::string& path, PolicyFile file) {
  const std::string bytes = encode_policy(std::move(file));
  const std::string partial = path + ".partial";
  FileHandle out(std::fopen(partial.c_str(), "wb"));
  if (!out) throw PolicyFileError(path, "cannot be written: " + reason());
  bool whole = std::fwrite(bytes.data(), 1, bytes.size(), out.get()) == bytes.size();
  whole = std::fclose(out.release()) == 0 && whole;
  if (!whole || std::rename(partial.c_str(), path.c_str()) != 0) {
    const std::string why = reason();
    std::remove(partial.c_str());
    throw PolicyFileError(path, "cannot be written: " + why);
  }
}

PolicyFile read_policy_file(const std::string& path) {
  const FileHandle in(std::fopen(path.c_str(), "rb"));
  if (!in) throw PolicyFileError(path, "cannot be read: " + reason());
  std::string bytes;
  std::array<char, 1 << 16> chunk;
  while (const std::size_t got = std::fread(chunk.data(), 1, chunk.size(), in.get())) {
    bytes.append(chunk.data(), got);
  }
  if (std::ferror(in.get()) != 0) throw PolicyFileError(path, "cannot be read: " + reason());
  return decode_policy(bytes, path);
}

}  // namespace mvfstrl
