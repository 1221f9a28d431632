// Configuration, the observation spec and the vectorised environment.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/report.h"
#include "bindings/step_rows.h"
#include "bindings/value.h"
#include "environment/config_io.h"
#include "environment/vector_environment.h"
#include "observe/observation_spec.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

template <class T>
std::span<const T> rows_of(const InputArray<T>& array, const char* name) {
  if (array.ndim() != 1) throw std::invalid_argument(std::string(name) + ": must have one dimension");
  return values_of(array);
}

// A NumPy array over memory that `owner` keeps.
template <class T>
py::array view(const std::vector<T>& data, std::vector<py::ssize_t> shape, const py::object& owner) {
  return py::array_t<T>(std::move(shape), data.data(), owner);
}
py::array bool_view(const std::vector<std::uint8_t>& data, const py::object& owner) {
  return py::array(py::dtype("bool"), {static_cast<py::ssize_t>(data.size())}, data.data(), owner);
}

// One round's results: arrays over the group's memory.
struct StepBatch {
  py::array observation, reward, terminated, truncated, first, active, over, job, skipped, window_packets;
};

StepBatch make_batch(const StepArrays& a, const py::object& owner) {
  const auto rows = static_cast<py::ssize_t>(a.reward.size());
  const auto size = static_cast<py::ssize_t>(a.observation.size()) / rows;
  return {.observation = view(a.observation, {rows, size}, owner),
          .reward = view(a.reward, {rows}, owner),
          .terminated = bool_view(a.terminated, owner),
          .truncated = bool_view(a.truncated, owner),
          .first = bool_view(a.first, owner),
          .active = bool_view(a.active, owner),
          .over = bool_view(a.over, owner),
          .job = view(a.job, {rows}, owner),
          .skipped = view(a.skipped, {rows}, owner),
          .window_packets = view(a.window_packets, {rows}, owner)};
}

// Keeps alive, group by group, what a round may still write into.
class BoundEnvironment final : public VectorEnvironment {
 public:
  BoundEnvironment(EnvironmentConfig config, const VectorOptions& options)
      : VectorEnvironment(std::move(config), options),
        targets_(static_cast<std::size_t>(options.num_groups)) {}
  BoundEnvironment(const BoundEnvironment&) = delete;
  BoundEnvironment& operator=(const BoundEnvironment&) = delete;
  ~BoundEnvironment() { close(); }

  void reset_into(std::int32_t group, const py::object& rows, std::int64_t t) {
    const StepRows into = rows.cast<const RoundRows&>().results(*this, t);
    reset(group, &into);
    targets_[static_cast<std::size_t>(group)] = rows;
  }
  void step_into(std::int32_t group, const py::object& rows, std::int64_t t) {
    const auto& block = rows.cast<const RoundRows&>();
    const auto actions = block.actions(*this, t);
    const StepRows into = block.results(*this, t + 1);
    send(group, actions, &into);
    targets_[static_cast<std::size_t>(group)] = rows;
  }

 private:
  std::vector<py::object> targets_;
};

std::unique_ptr<BoundEnvironment> make_vector(const py::dict& config, std::int32_t num_envs,
                                              std::int32_t num_groups, std::int32_t num_threads,
                                              std::uint64_t seed, std::int32_t siblings, bool record_series,
                                              bool record_events) {
  const Value value = from_python(config);
  const py::gil_scoped_release release;
  return std::make_unique<BoundEnvironment>(parse_config(value),
                                            VectorOptions{.num_envs = num_envs,
                                                          .num_groups = num_groups,
                                                          .num_threads = num_threads,
                                                          .seed = seed,
                                                          .siblings = siblings,
                                                          .record_series = record_series,
                                                          .record_events = record_events});
}

StepBatch receive(const py::object& self, std::int32_t group) {
  auto& environment = self.cast<BoundEnvironment&>();
  const StepArrays* arrays = nullptr;
  {
    const py::gil_scoped_release release;
    arrays = &environment.recv(group);
  }
  return make_batch(*arrays, self);
}

py::list drain(BoundEnvironment& environment) { return report_list(environment.drain_episodes()); }

py::dict tally_dict(const PathCounters& path) {
  const auto pair = [](const Tally& tally) { return py::make_tuple(tally.packets, tally.bytes); };
  py::dict result;
  result["entered"] = pair(path.counters.entered);
  result["delivered"] = pair(path.counters.delivered);
  result["queue_drops"] = pair(path.counters.queue_drops);
  result["random_losses"] = pair(path.counters.random_losses);
  result["inside"] = pair(path.inside);
  return result;
}

py::dict sender_dict(Simulation& simulation, std::size_t flow) {
  const ConnectionStats& stats = simulation.sender(flow).stats();
  py::dict result;
  result["packets_sent"] = stats.packets_sent;
  result["packets_acked"] = stats.packets_acked;
  result["packets_lost"] = stats.packets_lost;
  result["packets_in_flight"] = stats.packets_in_flight;
  result["packets_spuriously_lost"] = stats.packets_spuriously_lost;
  result["bytes_sent"] = stats.bytes_sent.value();
  result["bytes_acked"] = stats.bytes_acked.value();
  result["bytes_lost"] = stats.bytes_lost.value();
  result["bytes_in_flight"] = stats.bytes_in_flight.value();
  result["bytes_retransmitted"] = stats.bytes_retransmitted.value();
  result["congestion_window_bytes"] = stats.congestion_window.value();
  result["total_pto_count"] = stats.total_pto_count;
  result["persistent_congestion_count"] = stats.persistent_congestion_count;
  result["smoothed_rtt_ms"] = simulation.sender(flow).rtt().smoothed().to_ms();
  result["min_rtt_ms"] = simulation.sender(flow).rtt().min().to_ms();
  result["outside_path_packets"] = simulation.outside_path(flow).packets;
  return result;
}

py::dict counters(BoundEnvironment& environment, std::int32_t env) {
  Simulation* simulation = environment.simulation(env);
  if (simulation == nullptr) throw std::logic_error("env " + std::to_string(env) + ": reset it first");
  py::dict result;
  result["now_ms"] = simulation->now().to_ms();
  result["data"] = tally_dict(simulation->data_counters());
  result["acks"] = tally_dict(simulation->ack_counters());
  py::list flows;
  for (std::size_t i = 0; i < simulation->flow_count(); ++i) flows.append(sender_dict(*simulation, i));
  result["flows"] = flows;
  return result;
}

// Sixteen hexadecimal digits: JSON and floating point keep no 64-bit integers.
std::string hash_text(std::uint64_t hash) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; hash >>= 4) text[i] = "0123456789abcdef"[hash & 15];
  return text;
}

py::dict spec_dict(const py::dict& object) {
  const EnvironmentConfig config = parse_config(from_python(object));
  const ObservationSpec spec = make_observation_spec(config.observation, config.actions, config.reward);
  py::list elements;
  for (const ObservationElement& element : spec.elements) {
    py::dict entry;
    entry["name"] = element.name;
    entry["low"] = element.low;
    entry["high"] = element.high;
    entry["unit"] = element.unit;
    elements.append(entry);
  }
  py::list actions;
  for (const std::string& action : spec.actions) actions.append(action);
  py::dict result;
  result["version"] = spec.version;
  result["hash"] = hash_text(spec_hash(spec));
  result["observation"] = elements;
  result["actions"] = actions;
  result["reward"] = spec.reward;
  result["pacing"] = spec.pacing;
  result["window"] = spec.window;
  result["dtype"] = spec.dtype;
  return result;
}

void bind_step_batch(py::module_& module) {
  py::class_<StepBatch>(module, "StepBatch",
                        "One round's results; the arrays are views, valid until the group's next round.")
      .def_readonly("observation", &StepBatch::observation)
      .def_readonly("reward", &StepBatch::reward)
      .def_readonly("terminated", &StepBatch::terminated)
      .def_readonly("truncated", &StepBatch::truncated)
      .def_readonly("first", &StepBatch::first)
      .def_readonly("active", &StepBatch::active)
      .def_readonly("over", &StepBatch::over)
      .def_readonly("job", &StepBatch::job)
      .def_readonly("skipped", &StepBatch::skipped)
      .def_readonly("window_packets", &StepBatch::window_packets);
}

void bind_vector_environment(py::module_& module) {
  py::class_<BoundEnvironment>(module, "VectorEnvironment",
                               "Many environments in groups that are stepped asynchronously.")
      .def(py::init(&make_vector), py::arg("config"), py::kw_only(), py::arg("num_envs"),
           py::arg("num_groups") = 1, py::arg("num_threads") = 1, py::arg("seed") = 0,
           py::arg("siblings") = 1, py::arg("record_series") = false, py::arg("record_events") = false)
      .def_property_readonly("num_envs", &VectorEnvironment::num_envs)
      .def_property_readonly("num_groups", &VectorEnvironment::num_groups)
      .def_property_readonly("group_size", &VectorEnvironment::group_size)
      .def_property_readonly("num_agents", &VectorEnvironment::num_agents)
      .def_property_readonly("observation_size", &VectorEnvironment::observation_size)
      .def_property_readonly("num_actions", &VectorEnvironment::num_actions)
      .def(
          "reset", [](BoundEnvironment& self, std::int32_t group) { self.reset(group); }, py::arg("group"))
      .def(
          "reset_with",
          [](BoundEnvironment& self, std::int32_t group, const InputArray<std::uint64_t>& episode_seeds,
             const InputArray<std::int32_t>& scenarios) {
            self.reset_with(group, rows_of(episode_seeds, "episode_seeds"), rows_of(scenarios, "scenarios"));
          },
          py::arg("group"), py::arg("episode_seeds"), py::arg("scenarios"))
      .def(
          "send",
          [](BoundEnvironment& self, std::int32_t group, const InputArray<std::int32_t>& actions) {
            self.send(group, rows_of(actions, "actions"));
          },
          py::arg("group"), py::arg("actions"))
      .def("recv", &receive, py::arg("group"))
      .def("reset_into", &BoundEnvironment::reset_into, py::arg("group"), py::arg("rows"), py::arg("t"))
      .def("step_into", &BoundEnvironment::step_into, py::arg("group"), py::arg("rows"), py::arg("t"))
      .def(
          "wait", [](BoundEnvironment& self, std::int32_t group) { self.recv(group); }, py::arg("group"),
          py::call_guard<py::gil_scoped_release>())
      .def("drain_episodes", &drain)
      .def("counters", &counters, py::arg("env"))
      .def("close", &VectorEnvironment::close, py::call_guard<py::gil_scoped_release>());
}

}  // namespace

void bind_environment(py::module_& module) {
  module.def(
      "default_config", [] { return to_python(default_config()); },
      "Every knob's default, in the form that VectorEnvironment takes.");
  module.def(
      "default_alternatives", [] { return to_python(default_alternatives()); },
      "For each mapping with a `kind`: its kinds and their defaults.");
  module.def("observation_spec", &spec_dict, py::arg("config"),
             "What an observation holds, element by element, and which actions answer it.");
  bind_step_batch(module);
  bind_step_rows(module);
  bind_vector_environment(module);
}

}  // namespace mvfstrl
