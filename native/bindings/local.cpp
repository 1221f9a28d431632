// Episodes that an exported policy drives without Python.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bindings/report.h"
#include "bindings/value.h"
#include "environment/config_io.h"
#include "environment/local_config.h"
#include "environment/local_evaluation.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

constexpr std::chrono::milliseconds kPatience{50};  // between two looks at signals and progress

std::vector<LocalEpisode> episodes_of(const std::vector<std::uint64_t>& seeds,
                                      const std::vector<std::int32_t>& scenarios) {
  if (seeds.size() != scenarios.size()) {
    throw std::invalid_argument("scenarios: need one for each of the " + std::to_string(seeds.size()) +
                                " seeds, got " + std::to_string(scenarios.size()));
  }
  std::vector<LocalEpisode> episodes;
  for (std::size_t i = 0; i < seeds.size(); ++i) episodes.push_back({seeds[i], scenarios[i]});
  return episodes;
}

void tell(const py::object& progress, const LocalEvaluation& evaluation) {
  if (progress.is_none()) return;
  const LocalProgress now = evaluation.progress();
  progress(now.episodes, now.decisions);
}

py::list play_local(const py::dict& config, const std::shared_ptr<PolicyModel>& policy,
                    const std::vector<std::uint64_t>& seeds, const std::vector<std::int32_t>& scenarios,
                    std::vector<std::int32_t> jobs, std::int32_t num_threads, const py::dict& guard,
                    bool record_series, bool record_events, const py::object& progress) {
  const Value environment = from_python(config);
  LocalOptions options{.num_threads = num_threads,
                       .record_series = record_series,
                       .record_events = record_events,
                       .guard = parse_guard(from_python(guard)),
                       .jobs = std::move(jobs)};
  std::unique_ptr<LocalEvaluation> evaluation;
  {
    const py::gil_scoped_release release;
    evaluation = std::make_unique<LocalEvaluation>(parse_config(environment), policy,
                                                   episodes_of(seeds, scenarios), options);
  }
  const auto done = [&] {
    const py::gil_scoped_release release;
    return evaluation->wait_for(kPatience);
  };
  try {
    while (!done()) {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      tell(progress, *evaluation);
    }
    tell(progress, *evaluation);
  } catch (...) {
    const py::gil_scoped_release release;  // its threads are waited for
    evaluation.reset();
    throw;
  }
  return report_list(evaluation->reports());
}

}  // namespace

void bind_local(py::module_& module) {
  module.attr("GUARD_REASONS") = py::tuple(py::cast(kGuardReasons));
  module.def(
      "guard_config",
      [](const py::dict& guard) { return to_python(guard_value(parse_guard(from_python(guard)))); },
      py::arg("guard") = py::dict(), "Every knob of the guard beside a policy: as given, else its default.");
  module.def(
      "play_local", &play_local, py::arg("config"), py::arg("policy"), py::kw_only(), py::arg("seeds"),
      py::arg("scenarios"), py::arg("jobs") = std::vector<std::int32_t>{}, py::arg("num_threads") = 1,
      py::arg("guard") = py::dict(), py::arg("record_series") = false, py::arg("record_events") = false,
      py::arg("progress") = py::none(),
      "Plays an episode a seed, in the scenario of that index, on threads of its own and returns their "
      "reports. `progress(episodes, decisions)` is called now and then, and may raise to stop.");
}

}  // namespace mvfstrl
