// One run of classic controllers with every packet at the links recorded.
#include "path/link_log.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <stdexcept>
#include <variant>

#include "bindings/value.h"
#include "environment/config_io.h"
#include "environment/environment.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

struct LinkLogs {
  LinkLog data, acks;
};

LinkLogs play(EnvironmentConfig config, std::uint64_t seed, std::int32_t scenario) {
  const EnvironmentShared shared(std::move(config));
  if (scenario < 0 || static_cast<std::size_t>(scenario) >= shared.scenarios.size()) {
    throw std::invalid_argument("scenario: there is no number " + std::to_string(scenario));
  }
  const SchemeConfig& scheme = shared.config.flows[0].controller;
  if (std::holds_alternative<ExternalConfig>(scheme) || std::holds_alternative<RandomActions>(scheme)) {
    throw std::invalid_argument("flows[0].controller.kind: must be a controller that needs no actions");
  }
  LinkLogs logs;
  Simulation simulation(shared.scenarios.sample(seed, scenario), shared.config.flows, shared.config.transport,
                        shared.config.transport.window, seed, shared.config.cross_traffic);
  simulation.record(logs.data, logs.acks);
  simulation.run_until(TimePoint::zero() + shared.config.episode);
  simulation.finish();
  return logs;
}

template <class T, class Field>
py::array_t<T> column(const LinkLog& log, Field field) {
  py::array_t<T> result(static_cast<py::ssize_t>(log.size()));
  T* out = result.mutable_data();
  for (const LinkEvent& event : log) *out++ = static_cast<T>(field(event));
  return result;
}

py::dict columns(const LinkLog& log) {
  py::dict result;
  result["kind"] = column<std::uint8_t>(log, [](const LinkEvent& e) { return static_cast<int>(e.kind); });
  result["at_ns"] = column<std::int64_t>(log, [](const LinkEvent& e) { return e.at.ns(); });
  result["entered_ns"] = column<std::int64_t>(log, [](const LinkEvent& e) { return e.entered.ns(); });
  result["packets"] = column<std::int64_t>(log, [](const LinkEvent& e) { return e.packets; });
  result["bytes"] = column<std::int64_t>(log, [](const LinkEvent& e) { return e.size_bytes; });
  return result;
}

}  // namespace

void bind_link_log(py::module_& module) {
  module.def(
      "play_logged",
      [](const py::dict& config, std::uint64_t seed, std::int32_t scenario) {
        const Value value = from_python(config);
        LinkLogs logs;
        {
          const py::gil_scoped_release release;
          logs = play(parse_config(value), seed, scenario);
        }
        py::dict result;
        result["uplink"] = columns(logs.data);
        result["downlink"] = columns(logs.acks);
        return result;
      },
      py::arg("config"), py::kw_only(), py::arg("seed") = 0, py::arg("scenario") = 0,
      "Plays one episode of controllers that need no actions. Returns what happened at the two links, in "
      "columns: "
      "kind (0 arrival, 1 drop, 2 departure), at_ns, entered_ns (of a departure), packets, bytes.");
}

}  // namespace mvfstrl
