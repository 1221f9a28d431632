// The path's Python face: traces, the replay of mahimahi logs, and the opportunities of a rate process (for
// fitting and checking it).
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "path/generated_trace.h"
#include "path/log_replay.h"
#include "path/opportunities.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

QueueConfig replay_queue(const std::string& kind, std::optional<std::int64_t> packets,
                         std::optional<std::int64_t> bytes) {
  QueueConfig queue;
  if (kind == "droptail") {
    queue.kind = QueueKind::kDropTail;
  } else if (kind != "infinite") {
    throw std::invalid_argument("queue must be infinite or droptail, got " + kind);
  }
  queue.packets = packets;
  queue.bytes = bytes;
  return queue;
}

py::dict replay(const py::bytes& log, const std::string& name, const std::string& trace,
                const std::string& queue, std::optional<std::int64_t> packets,
                std::optional<std::int64_t> bytes) {
  const std::string_view text(log);
  const QueueConfig queue_config = replay_queue(queue, packets, bytes);
  ReplayReport report;
  {
    const py::gil_scoped_release release;
    report = replay_log(text, name, TraceRate{.trace = Trace::load(trace)}, queue_config);
  }
  py::dict result;
  result["arrivals"] = report.arrivals;
  result["departures"] = report.departures;
  result["drops"] = report.drops;
  result["mismatch"] = py::none();
  if (report.mismatch) {
    result["mismatch"] =
        py::make_tuple(report.mismatch->line, report.mismatch->expected, report.mismatch->got);
  }
  return result;
}

py::array_t<double> cellular_opportunities(double level_mbps, double max_mbps, double volatility_mbps,
                                           double reversion_ms, double outage_ms, double burst,
                                           double duration_ms, std::uint64_t seed) {
  const CellularRate rate{{.level = Bandwidth::from_mbps(level_mbps),
                           .max = Bandwidth::from_mbps(max_mbps),
                           .volatility = Bandwidth::from_mbps(volatility_mbps),
                           .reversion = Duration::from_ms_f(reversion_ms),
                           .outage = Duration::from_ms_f(outage_ms),
                           .burst = burst}};
  std::vector<double> times_ms;
  CellularProcess process(rate, Rng(seed));
  for (const TimePoint end = TimePoint::zero() + Duration::from_ms_f(duration_ms); process.next() < end;
       process.advance()) {
    times_ms.push_back(process.next().to_ms());
  }
  return py::array_t<double>(static_cast<py::ssize_t>(times_ms.size()), times_ms.data());
}

py::array_t<std::uint32_t> timestamps(const Trace& trace) {
  const auto& stamps = trace.timestamps_ms();
  return py::array_t<std::uint32_t>(static_cast<py::ssize_t>(stamps.size()), stamps.data());
}

}  // namespace

void bind_path(py::module_& module) {
  module.def("replay_log", &replay, py::arg("log"), py::arg("name"), py::kw_only(), py::arg("trace"),
             py::arg("queue"), py::arg("packets") = py::none(), py::arg("bytes") = py::none(),
             "Replays a mahimahi link log (its text) over a trace file: {arrivals, departures, drops,\n"
             "mismatch: None | (line, expected, got)}. ValueError, 'FILE:LINE: reason', on bad input.");
  module.def(
      "load_trace", [](const std::string& path) { return timestamps(*Trace::load(path)); }, py::arg("path"),
      "The opportunities of a mahimahi trace file in ms; ValueError if it is not sound.");
  module.def(
      "constant_trace", [](double mbps) { return timestamps(*constant_trace(Bandwidth::from_mbps(mbps))); },
      py::arg("mbps"), "The opportunities in ms of a generated trace of constant rate.");
  module.def(
      "periodic_trace",
      [](int opportunities, double every_ms) {
        return timestamps(*periodic_trace(opportunities, Duration::from_ms_f(every_ms)));
      },
      py::arg("opportunities"), py::arg("every_ms"), "The same of opportunities that come together.");
  module.def(
      "poisson_trace",
      [](double mbps, double head_ms, std::uint64_t seed) {
        const PoissonTrace parameters{.rate = Bandwidth::from_mbps(mbps),
                                      .head = Duration::from_ms_f(head_ms)};
        return timestamps(*poisson_trace(parameters, Rng(seed)));
      },
      py::arg("mbps"), py::arg("head_ms"), py::arg("seed"),
      "The same of a Poisson trace whose first `head_ms` have an opportunity every 100 ms.");
  module.def("cellular_opportunities", &cellular_opportunities, py::kw_only(), py::arg("level_mbps"),
             py::arg("max_mbps"), py::arg("volatility_mbps"), py::arg("reversion_ms"), py::arg("outage_ms"),
             py::arg("burst"), py::arg("duration_ms"), py::arg("seed"),
             "Times in ms at which the cellular process offers 1500 bytes each.");
}

}  // namespace mvfstrl
