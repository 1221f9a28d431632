#include "bindings/report.h"

#include "bindings/event_log.h"
#include "bindings/value.h"

namespace py = pybind11;

namespace mvfstrl {

py::list report_list(const std::vector<EpisodeReport>& reports) {
  py::list result;
  for (const EpisodeReport& report : reports) {
    py::object entry = to_python(to_value(report));
    entry["seed"] = py::int_(report.seed);  // all 64 bits, unsigned
    if (!report.events.empty()) {
      py::list events;
      for (const EventLog& log : report.events) events.append(event_columns(log));
      entry["events"] = events;
    }
    result.append(entry);
  }
  return result;
}

}  // namespace mvfstrl
