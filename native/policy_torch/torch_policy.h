// A trained policy computed by libtorch: `policy.pt` (TorchScript) or `policy.pt2` (compiled by AOTInductor),
// as mode=trace writes them. What they can do and what they are for is told by the `policy.mvfstrl` beside
// them, whose description they must share. No header of libtorch is needed to use this one.
//
// libtorch works on one thread: its number of threads, which is one for the whole process, is set to that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "policy/policy.h"

namespace mvfstrl {

enum class TorchFormat : std::uint8_t { kTorchScript, kAotInductor };

// By the file's name: ".pt" or ".pt2". Throws PolicyFileError for another.
TorchFormat torch_format_of(const std::string& path);

// "2.13.0": of the libtorch in use.
std::string_view torch_version();

// The policy of `connections` connections that are asked together; methods are those of BatchPolicy. What a
// decision allocates is libtorch's choice.
class TorchBatchPolicy {
 public:
  // Throws PolicyFileError: no such file, no exported policy, one of another description than `description`,
  // or one that does not answer for so many connections (AOTInductor compiles for one number of them).
  TorchBatchPolicy(const std::string& path, const PolicyDescription& description, std::size_t connections);
  ~TorchBatchPolicy();
  TorchBatchPolicy(TorchBatchPolicy&&) noexcept;
  TorchBatchPolicy& operator=(TorchBatchPolicy&&) noexcept;

  std::size_t size() const;
  void reset(std::size_t connection);
  void set_job(std::size_t connection, std::int32_t job);
  void act(std::span<const float> observations, std::span<std::int32_t> actions);
  std::span<const float> logits() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

std::unique_ptr<Policy> make_torch_policy(const std::string& path, const PolicyDescription& description);

}  // namespace mvfstrl
