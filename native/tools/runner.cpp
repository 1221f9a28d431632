#include "tools/runner.h"

#include <utility>

#ifdef MVFSTRL_HAS_TORCH
#include "policy_torch/torch_policy.h"
#endif

namespace mvfstrl::tools {
namespace {

template <class Batch>
class BatchRunner final : public Runner {
 public:
  explicit BatchRunner(Batch batch) : batch_(std::move(batch)) {}

  void reset(std::size_t connection) override { batch_.reset(connection); }
  void set_job(std::size_t connection, std::int32_t job) override { batch_.set_job(connection, job); }
  void act(std::span<const float> observations, std::span<std::int32_t> actions) override {
    batch_.act(observations, actions);
  }
  std::span<const float> logits() const override { return batch_.logits(); }

 private:
  Batch batch_;
};

}  // namespace

std::unique_ptr<Runner> make_built_in_runner(std::shared_ptr<const PolicyModel> model,
                                             std::size_t connections) {
  return std::make_unique<BatchRunner<BatchPolicy>>(BatchPolicy(std::move(model), connections));
}

#ifdef MVFSTRL_HAS_TORCH
std::unique_ptr<Runner> make_torch_runner(const std::string& path, const PolicyDescription& description,
                                          std::size_t connections) {
  return std::make_unique<BatchRunner<TorchBatchPolicy>>(TorchBatchPolicy(path, description, connections));
}
#else
std::unique_ptr<Runner> make_torch_runner(const std::string& path, const PolicyDescription&, std::size_t) {
  throw PolicyFileError(
      path, "this mvfstrl-policy was built without libtorch (./setup.sh --inference --torch PATH)");
}
#endif

}  // namespace mvfstrl::tools
