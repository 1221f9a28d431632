// An exported policy as one file, `policy.mvfstrl`: all that a host needs to observe a connection as the
// policy was trained to, to run its network and to use its answers. Written and read here only; Python writes
// through the bindings.
//
// Everything is little-endian and in this order:
//
//   "MVFSTRLP"  magic
//   u32         format version
//   u64         size of the file
//   sections    each u32 name (four letters), u64 size, content:
//     NETW      the network's kind and sizes
//     SPEC      ObservationConfig, ActionConfig, the reward's name; the spec that they made, its hash
//     NORM      mean and scale of each observation element
//     WGTS      matrices, each its precision and its values, row by row
//     TEXT      JSON for people and tools (what policy.json holds); nothing here depends on it
//   u32         CRC-32 (zlib's) of everything before
//
// A text is u32 size and bytes, a list u32 length and items, a flag one byte.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "observe/config.h"
#include "observe/observation_spec.h"
#include "policy/network.h"

namespace mvfstrl {

inline constexpr std::uint32_t kPolicyFormatVersion = 1;

// "FILE: what is wrong with it".
class PolicyFileError : public std::runtime_error {
 public:
  PolicyFileError(const std::string& file, const std::string& what)
      : std::runtime_error(file + ": " + what) {}
};

struct PolicyDescription {
  NetworkDescription network;
  ObservationConfig observation;
  ActionConfig actions;
  std::string reward;    // the name of the one that it was trained for
  ObservationSpec spec;  // what make_observation_spec says of the three above
  std::string text;

  // Throws PolicyFileError, with what differs, unless the policy was made for just this spec. `name` is that
  // of the file.
  void require_spec(const ObservationSpec& expected, const std::string& name) const;
  // The same of what a host shows it and offers. Rewards shape training, not what a policy sees or does.
  void require_offer(const ObservationConfig& shown, const ActionConfig& offered,
                     const std::string& name) const;
};

struct PolicyFile {
  PolicyDescription description;
  NetworkWeights weights;
};

// Fills in `spec`, as this code makes it of the configurations. Throws std::invalid_argument naming a bad
// entry of these, an unknown reward or weights whose sizes are not those of the network.
std::string encode_policy(PolicyFile file);

// `name` is the file's, for errors. Throws PolicyFileError: no policy, another format version, torn, damaged,
// an unknown network, sizes that do not fit, or a spec that this code would not make of the same
// configuration.
PolicyFile decode_policy(std::string_view bytes, const std::string& name);

// The file appears whole: it is written under another name first. Throws PolicyFileError.
void write_policy_file(const std::string& path, PolicyFile file);
PolicyFile read_policy_file(const std::string& path);

}  // namespace mvfstrl
