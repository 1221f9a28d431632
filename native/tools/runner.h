// One way to compute a policy's decisions for several connections at once, whoever does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "policy/policy.h"
#include "tools/arguments.h"

namespace mvfstrl::tools {

class Runner {
 public:
  virtual ~Runner() = default;
  virtual void reset(std::size_t connection) = 0;
  virtual void set_job(std::size_t connection, std::int32_t job) = 0;
  virtual void act(std::span<const float> observations, std::span<std::int32_t> actions) = 0;
  virtual std::span<const float> logits() const = 0;
};

std::unique_ptr<Runner> make_built_in_runner(std::shared_ptr<const PolicyModel> model,
                                             std::size_t connections);

// Through libtorch: a policy.pt or policy.pt2 of the same policy. Throws PolicyFileError; the same where this
// program was built without libtorch.
std::unique_ptr<Runner> make_torch_runner(const std::string& path, const PolicyDescription& description,
                                          std::size_t connections);

}  // namespace mvfstrl::tools
