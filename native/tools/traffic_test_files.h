// Policies in files, whole and otherwise, for tests of what reads them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "observe/observation_spec.h"
#include "policy/test_network.h"

namespace mvfstrl::test {

class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& bytes)
      : path(testing::TempDir() + "/" + std::to_string(getpid()) + "-" + name) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::remove(path.c_str()); }

  const std::string path;
};

inline TemporaryFile half_of(const std::string& path, const std::string& name) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  return {name, bytes.substr(0, bytes.size() / 2)};
}

// `jobs`: scenarios that it can be shown.
inline TemporaryFile small_policy(const std::string& name, std::int32_t jobs = 0) {
  return {name, encode_policy(random_policy({.job_inputs = jobs, .hidden_size = 8}))};
}

// CRC-32, bit by bit.
inline std::uint32_t plain_crc(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

// A sound file of a program whose spec has another name, as long as that of ours, for an element or an
// action.
inline TemporaryFile policy_of_another_spec(const std::string& name, std::string_view ours,
                                            std::string_view theirs) {
  const PolicyFile file = random_policy({.hidden_size = 8});
  std::string bytes = encode_policy(file);
  const auto replace_last = [&bytes](std::string_view what, std::string_view by) {
    const std::size_t at = bytes.rfind(what);
    EXPECT_NE(at, std::string::npos) << what;
    bytes.replace(at, by.size(), by);
  };
  const auto as_text = [](std::string_view text) {  // with its length before it
    const auto size = static_cast<std::uint32_t>(text.size());
    return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + std::string(text);
  };
  ObservationSpec spec = make_observation_spec({}, {}, LogRatioReward{});
  const std::uint64_t our_hash = spec_hash(spec);
  for (ObservationElement& element : spec.elements) {
    if (element.name == ours) element.name = theirs;
  }
  for (std::string& action : spec.actions) {
    if (action == ours) action = theirs;
  }
  const std::uint64_t their_hash = spec_hash(spec);
  replace_last(as_text(ours), as_text(theirs));
  replace_last({reinterpret_cast<const char*>(&our_hash), sizeof(our_hash)},
               {reinterpret_cast<const char*>(&their_hash), sizeof(their_hash)});
  const std::uint32_t crc = plain_crc(std::string_view(bytes).substr(0, bytes.size() - sizeof(crc)));
  std::memcpy(bytes.data() + bytes.size() - sizeof(crc), &crc, sizeof(crc));
  return {name, bytes};
}

}  // namespace mvfstrl::test
