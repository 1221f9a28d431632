// Exported policies: their file, and what acts by it.
#include "policy/policy.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/value.h"
#include "environment/config_io.h"
#include "observe/reward.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

NetworkDescription network_sizes(const py::dict& sizes) {
  const auto size = [&](const char* key) { return sizes[key].cast<std::int32_t>(); };
  return {.observation_size = size("observation_size"),
          .num_actions = size("num_actions"),
          .job_inputs = size("job_inputs"),
          .layers = size("layers"),
          .hidden_size = size("hidden_size"),
          .lstm_layers = size("lstm_layers")};
}

py::dict network_dict(const NetworkDescription& network) {
  py::dict sizes;
  sizes["observation_size"] = network.observation_size;
  sizes["num_actions"] = network.num_actions;
  sizes["job_inputs"] = network.job_inputs;
  sizes["layers"] = network.layers;
  sizes["hidden_size"] = network.hidden_size;
  sizes["lstm_layers"] = network.lstm_layers;
  return sizes;
}

// Weights from a list of arrays in the order in which a decision meets them.
NetworkWeights network_weights(const NetworkDescription& network, const py::list& arrays) {
  std::size_t next = 0;
  const auto take = [&] {
    if (next == arrays.size()) throw std::invalid_argument("weights: arrays are missing");
    const auto array = arrays[next++].cast<InputArray<float>>();
    return std::vector<float>(array.data(), array.data() + array.size());
  };
  NetworkWeights weights;
  weights.mean = take();
  weights.scale = take();
  for (std::int32_t i = 0; i < network.layers; ++i) {
    LinearWeights& layer = weights.torso.emplace_back();
    layer.weight.values = take();
    layer.bias = take();
  }
  for (std::int32_t i = 0; i < network.lstm_layers; ++i) {
    LstmWeights& layer = weights.lstm.emplace_back();
    layer.input.values = take();
    layer.recurrent.values = take();
    layer.bias = take();
  }
  weights.head.weight.values = take();
  weights.head.bias = take();
  if (next != arrays.size()) throw std::invalid_argument("weights: too many arrays");
  return weights;
}

PolicyFile policy_of(const py::dict& sizes, const py::list& weights, const std::string& precision) {
  PolicyFile file;
  file.description.network = network_sizes(sizes);
  file.weights = network_weights(file.description.network, weights);
  file.weights.set_precision(parse_precision(precision));
  return file;
}

void write_policy(const std::string& path, const py::dict& config, const py::dict& sizes,
                  const py::list& weights, const std::string& text, const std::string& precision) {
  const EnvironmentConfig environment = parse_config(from_python(config));
  PolicyFile file = policy_of(sizes, weights, precision);
  file.description.observation = environment.observation;
  file.description.actions = environment.actions;
  file.description.reward = reward_name(environment.reward);
  file.description.text = text;
  write_policy_file(path, std::move(file));
}

std::shared_ptr<PolicyModel> load_model(const std::string& path, const std::string& instructions) {
  const PolicyOptions options{.instructions = parse_instruction_set(instructions)};
  const py::gil_scoped_release release;
  return std::make_shared<PolicyModel>(read_policy_file(path), options);
}

std::shared_ptr<PolicyModel> model_of(const py::dict& sizes, const py::list& weights,
                                      const std::string& precision, const std::string& instructions) {
  const PolicyFile file = policy_of(sizes, weights, precision);
  const PolicyOptions options{.instructions = parse_instruction_set(instructions)};
  const py::gil_scoped_release release;
  return std::make_shared<PolicyModel>(file, options);
}

// BatchPolicy with arrays for spans.
class PythonPolicy {
 public:
  PythonPolicy(std::shared_ptr<PolicyModel> model, std::size_t batch)
      : batch_(model, batch), model_(std::move(model)) {}

  py::array act(const InputArray<float>& observation, const InputArray<bool>& first,
                const std::optional<InputArray<std::int32_t>>& job,
                const std::optional<InputArray<float>>& noise, const std::optional<py::array>& logits,
                const std::optional<py::array>& actions) {
    const NetworkDescription& network = model_->description().network;
    const std::size_t rows = batch_.size(), choices = rows * static_cast<std::size_t>(network.num_actions);
    const Shape shape = {static_cast<py::ssize_t>(rows), network.num_actions};
    const auto observations =
        values_of("observation", observation, rows * static_cast<std::size_t>(network.observation_size));
    const auto firsts = values_of("first", first, rows);
    const auto jobs = job ? values_of("job", *job, rows) : std::span<const std::int32_t>();
    const auto noises = noise ? values_of("noise", *noise, choices) : std::span<const float>();
    float* const logits_out = logits ? memory_of<float>("logits", *logits, shape) : nullptr;
    const py::array chosen = actions ? *actions : py::array_t<std::int32_t>(shape[0]);
    const std::span actions_out(memory_of<std::int32_t>("actions", chosen, {shape[0]}), rows);
    {
      const py::gil_scoped_release release;
      for (std::size_t row = 0; row < rows; ++row) {
        if (firsts[row]) batch_.reset(row);
        if (!jobs.empty()) batch_.set_job(row, jobs[row]);
      }
      batch_.act(observations, actions_out, noises);
      if (logits) std::ranges::copy(batch_.logits(), logits_out);
    }
    return chosen;
  }

  py::array_t<float> logits() const {
    const py::ssize_t rows = static_cast<py::ssize_t>(batch_.size());
    py::array_t<float> result({rows, static_cast<py::ssize_t>(batch_.logits().size()) / rows});
    std::ranges::copy(batch_.logits(), result.mutable_data());
    return result;
  }

  // (h, c), each [layers, rows, hidden], as torch's LSTM has them.
  py::tuple state() { return py::make_tuple(state_of(&BatchPolicy::hidden), state_of(&BatchPolicy::cell)); }
  void set_state(const InputArray<float>& h, const InputArray<float>& c) {
    set_part("h", &BatchPolicy::hidden, h);
    set_part("c", &BatchPolicy::cell, c);
  }

  void set_model(std::shared_ptr<PolicyModel> model) {
    batch_.set_model(model);
    model_ = std::move(model);
  }
  std::shared_ptr<PolicyModel> model() const { return model_; }
  std::size_t size() const { return batch_.size(); }

 private:
  using Part = Rows (BatchPolicy::*)(std::size_t);

  std::size_t layers() const { return static_cast<std::size_t>(model_->description().network.lstm_layers); }
  std::size_t units() const { return static_cast<std::size_t>(model_->description().network.hidden_size); }
  // visit(row of the policy's memory, its place in an array [layers, rows, units])
  template <class Visit>
  void for_each_row(Part part, const Visit& visit) {
    for (std::size_t layer = 0; layer < layers(); ++layer) {
      const Rows rows = (batch_.*part)(layer);
      for (std::size_t row = 0; row < batch_.size(); ++row) {
        visit(rows.data + row * rows.stride, (layer * batch_.size() + row) * units());
      }
    }
  }
  py::array_t<float> state_of(Part part) {
    py::array_t<float> result({layers(), batch_.size(), units()});
    float* const to = result.mutable_data();
    for_each_row(part, [&](const float* from, std::size_t at) { std::copy_n(from, units(), to + at); });
    return result;
  }
  void set_part(const char* name, Part part, const InputArray<float>& values) {
    const auto from = values_of(name, values, layers() * batch_.size() * units());
    for_each_row(part, [&](float* to, std::size_t at) { std::copy_n(from.data() + at, units(), to); });
  }

  BatchPolicy batch_;
  std::shared_ptr<PolicyModel> model_;
};

void bind_model(py::module_& module) {
  py::class_<PolicyModel, std::shared_ptr<PolicyModel>>(module, "PolicyModel",
                                                        "A policy's weights and description; never changes.")
      .def(py::init(&load_model), py::arg("path"), py::kw_only(), py::arg("instructions") = "auto")
      .def_static("from_network", &model_of, py::arg("sizes"), py::arg("weights"), py::kw_only(),
                  py::arg("precision") = "fp32", py::arg("instructions") = "auto",
                  "Of weights in memory: the arguments of write_policy_file. It has no spec and no text.")
      .def_property_readonly("text", [](const PolicyModel& self) { return self.description().text; })
      .def_property_readonly("network",
                             [](const PolicyModel& self) { return network_dict(self.description().network); })
      .def_property_readonly("spec_hash",
                             [](const PolicyModel& self) { return spec_hash(self.description().spec); })
      .def_property_readonly("precision", [](const PolicyModel& self) { return name_of(self.precision()); })
      .def_property_readonly("weight_bytes",
                             [](const PolicyModel& self) { return self.network().weight_bytes(); })
      .def_property_readonly(
          "instructions", [](const PolicyModel& self) { return std::string(name_of(self.instructions())); });
}

}  // namespace

void bind_policy(py::module_& module) {
  py::register_exception<PolicyFileError>(module, "PolicyFileError", PyExc_ValueError);
  module.def(
      "write_policy_file", &write_policy, py::arg("path"), py::kw_only(), py::arg("config"), py::arg("sizes"),
      py::arg("weights"), py::arg("text"), py::arg("precision"),
      "Writes an exported policy: `config` as VectorEnvironment takes it, `sizes` as "
      "PolicyModel.network gives them, `weights` a list of arrays: mean, scale, weight and bias of each "
      "hidden layer, weight_ih, weight_hh and the sum of both biases of each memory layer, weight and "
      "bias of the head.");
  module.def(
      "instruction_sets",
      [] {
        py::list names;
        for (const InstructionSet set : supported_instruction_sets()) {
          names.append(std::string(name_of(set)));
        }
        return names;
      },
      "Those of this processor that policies can use, the fastest last.");
  bind_model(module);
  py::class_<PythonPolicy>(module, "Policy", "A policy at work for a batch of connections.")
      .def(py::init<std::shared_ptr<PolicyModel>, std::size_t>(), py::arg("model"), py::arg("batch") = 1)
      .def(py::init([](const std::string& path, std::size_t batch, const std::string& instructions) {
             return PythonPolicy(load_model(path, instructions), batch);
           }),
           py::arg("path"), py::arg("batch") = 1, py::kw_only(), py::arg("instructions") = "auto")
      .def("act", &PythonPolicy::act, py::arg("observation"), py::arg("first"), py::arg("job") = py::none(),
           py::kw_only(), py::arg("noise") = py::none(), py::arg("logits") = py::none(),
           py::arg("actions") = py::none())
      .def_property_readonly("logits", &PythonPolicy::logits)
      .def("state", &PythonPolicy::state)
      .def("set_state", &PythonPolicy::set_state, py::arg("h"), py::arg("c"))
      .def("set_model", &PythonPolicy::set_model, py::arg("model"))
      .def_property_readonly("model", &PythonPolicy::model)
      .def("__len__", &PythonPolicy::size);
}

}  // namespace mvfstrl
