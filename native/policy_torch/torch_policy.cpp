#include "policy_torch/torch_policy.h"

#include <ATen/Parallel.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/api/include/torch/version.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/single_policy.h"

namespace mvfstrl {
namespace {

constexpr const char* kDescriptionFile = "spec.json";

using Tensors = std::vector<at::Tensor>;

std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

// (observation, first, h, c, job) -> (logits, action, h, c), whoever computes it.
class Model {
 public:
  virtual ~Model() = default;
  virtual Tensors run(const Tensors& arguments) = 0;
  virtual std::string description() const = 0;
};

class TorchScriptModel final : public Model {
 public:
  explicit TorchScriptModel(const std::string& path) {
    std::unordered_map<std::string, std::string> extra{{kDescriptionFile, ""}};
    module_ = torch::jit::load(path, at::kCPU, extra);
    module_.eval();
    description_ = extra.at(kDescriptionFile);
  }

  Tensors run(const Tensors& arguments) override {
    const c10::IValue answer = module_.forward({arguments.begin(), arguments.end()});
    Tensors results;
    for (const c10::IValue& value : answer.toTupleRef().elements()) results.push_back(value.toTensor());
    return results;
  }
  std::string description() const override { return description_; }

 private:
  torch::jit::Module module_;
  std::string description_;
};

class AotInductorModel final : public Model {
 public:
  explicit AotInductorModel(const std::string& path) : loader_(path, "model", /*run_single_threaded=*/true) {}

  Tensors run(const Tensors& arguments) override { return loader_.run(arguments); }
  std::string description() const override {
    const auto metadata = const_cast<torch::inductor::AOTIModelPackageLoader&>(loader_).get_metadata();
    const auto found = metadata.find(kDescriptionFile);
    return found == metadata.end() ? "" : found->second;
  }

 private:
  torch::inductor::AOTIModelPackageLoader loader_;
};

std::unique_ptr<Model> load(const std::string& path) {
  const TorchFormat format = torch_format_of(path);
  if (!std::filesystem::is_regular_file(path)) throw PolicyFileError(path, "no such file");
  try {
    if (format == TorchFormat::kAotInductor) return std::make_unique<AotInductorModel>(path);
    return std::make_unique<TorchScriptModel>(path);
  } catch (const std::exception& error) {
    throw PolicyFileError(path, "libtorch cannot load it: " + first_line(error));
  }
}

}  // namespace

class TorchBatchPolicy::Implementation {
 public:
  Implementation(const std::string& path, const PolicyDescription& description, std::size_t connections)
      : network_(description.network), rows_(static_cast<std::int64_t>(connections)) {
    if (connections == 0) throw std::invalid_argument("a batch needs at least one connection");
    at::set_num_threads(1);
    model_ = load(path);
    if (model_->description() != description.text) {
      throw PolicyFileError(path, "is another policy's: its description is not that of the .mvfstrl file");
    }
    const c10::InferenceMode guard;
    const auto state = [&] { return at::zeros({network_.lstm_layers, rows_, network_.hidden_size}); };
    arguments_ = {at::zeros({rows_, network_.observation_size}), at::zeros({rows_}, at::kBool), state(),
                  state(), at::zeros({rows_}, at::kInt).fill_(-1)};
    try {
      const Tensors answer = model_->run(arguments_);
      check(answer);
    } catch (const std::exception& error) {
      throw PolicyFileError(
          path, "does not answer for " + std::to_string(rows_) + " connections: " + first_line(error));
    }
  }

  std::size_t size() const { return static_cast<std::size_t>(rows_); }

  void reset(std::size_t connection) {
    assert(connection < size());
    arguments_[kFirst].data_ptr<bool>()[connection] = true;
  }

  void set_job(std::size_t connection, std::int32_t job) {
    assert(connection < size());
    check_job(network_, job);
    arguments_[kJob].data_ptr<std::int32_t>()[connection] = job;
  }

  void act(std::span<const float> observations, std::span<std::int32_t> actions) {
    check_count("observations", static_cast<std::size_t>(arguments_[kObservation].numel()),
                observations.size());
    check_count("actions", size(), actions.size());
    const c10::InferenceMode guard;
    std::ranges::copy(observations, arguments_[kObservation].data_ptr<float>());
    Tensors answer = model_->run(arguments_);
    std::copy_n(answer[1].data_ptr<std::int64_t>(), actions.size(), actions.begin());
    logits_ = std::move(answer[0]);
    arguments_[kHidden] = std::move(answer[2]);
    arguments_[kCell] = std::move(answer[3]);
    std::fill_n(arguments_[kFirst].data_ptr<bool>(), size(), false);
  }

  std::span<const float> logits() const {
    return {logits_.const_data_ptr<float>(), static_cast<std::size_t>(logits_.numel())};
  }

 private:
  enum Argument : std::size_t { kObservation, kFirst, kHidden, kCell, kJob };

  // Throws unless the shapes are those of the description.
  void check(const Tensors& answer) const {
    const std::array<std::vector<std::int64_t>, 4> expected{
        std::vector<std::int64_t>{rows_, network_.num_actions},
        {rows_},
        arguments_[kHidden].sizes().vec(),
        arguments_[kCell].sizes().vec()};
    if (answer.size() != expected.size()) throw std::runtime_error("it has another number of results");
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (answer[i].sizes().vec() != expected[i]) throw std::runtime_error("its results have another shape");
    }
  }

  NetworkDescription network_;
  std::int64_t rows_;
  std::unique_ptr<Model> model_;
  Tensors arguments_;
  at::Tensor logits_ = at::zeros({0});
};

TorchFormat torch_format_of(const std::string& path) {
  const auto extension = std::filesystem::path(path).extension();
  if (extension == ".pt") return TorchFormat::kTorchScript;
  if (extension == ".pt2") return TorchFormat::kAotInductor;
  throw PolicyFileError(path, "is no file for libtorch: these end in .pt or .pt2");
}

std::string_view torch_version() { return TORCH_VERSION; }

TorchBatchPolicy::TorchBatchPolicy(const std::string& path, const PolicyDescription& description,
                                   std::size_t connections)
    : implementation_(std::make_unique<Implementation>(path, description, connections)) {}
TorchBatchPolicy::~TorchBatchPolicy() = default;
TorchBatchPolicy::TorchBatchPolicy(TorchBatchPolicy&&) noexcept = default;
TorchBatchPolicy& TorchBatchPolicy::operator=(TorchBatchPolicy&&) noexcept = default;

std::size_t TorchBatchPolicy::size() const { return implementation_->size(); }
void TorchBatchPolicy::reset(std::size_t connection) { implementation_->reset(connection); }
void TorchBatchPolicy::set_job(std::size_t connection, std::int32_t job) {
  implementation_->set_job(connection, job);
}
void TorchBatchPolicy::act(std::span<const float> observations, std::span<std::int32_t> actions) {
  implementation_->act(observations, actions);
}
std::span<const float> TorchBatchPolicy::logits() const { return implementation_->logits(); }

std::unique_ptr<Policy> make_torch_policy(const std::string& path, const PolicyDescription& description) {
  return std::make_unique<SinglePolicy<TorchBatchPolicy>>(TorchBatchPolicy(path, description, 1));
}

}  // namespace mvfstrl
