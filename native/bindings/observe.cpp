// What the fields of an observation are, for the documentation that is made from it, and rewards of windows
// that nobody played.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "bindings/value.h"
#include "environment/config_io.h"
#include "observe/fields.h"
#include "observe/reward.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

py::list fields_list() {
  py::list fields;
  for (const FieldInfo& field : kFields) {
    py::dict entry;
    entry["name"] = std::string(field.name);
    entry["kind"] = field.kind == FieldKind::kLevel ? "level" : "counter";
    entry["raw_unit"] = std::string(field.unit);
    entry["norm"] = field.norm;
    entry["high"] = field.high;
    entry["meaning"] = std::string(field.meaning);
    fields.append(entry);
  }
  return fields;
}

py::array_t<double> window_rewards(const py::dict& config,
                                   const py::array_t<std::int64_t, py::array::forcecast>& acked_bytes,
                                   double length_ms, double delay_ms, double rtt_ms) {
  const Reward reward(parse_config(from_python(config)).reward);
  WindowSummary window;
  window.end = window.start + Duration::from_ms_f(length_ms);
  window.max_delay = window.mean_delay = Duration::from_ms_f(delay_ms);
  window.mean_rtt = Duration::from_ms_f(rtt_ms);
  py::array_t<double> rewards(acked_bytes.size());
  for (py::ssize_t i = 0; i < acked_bytes.size(); ++i) {
    window.acked = ByteCount(acked_bytes.at(i));
    rewards.mutable_at(i) = reward.of(window);
  }
  return rewards;
}

}  // namespace

void bind_observe(py::module_& module) {
  module.def(
      "observation_fields", &fields_list,
      "The fields that an observation's statistics are of: name, kind (level or counter), raw unit, what one "
      "observation unit is of it (norm), upper bound in observation units, meaning.");
  module.def("window_rewards", &window_rewards,
             "What windows without loss would earn in which so many bytes are acknowledged, delays being the "
             "same in all.",
             py::arg("config"), py::arg("acked_bytes"), py::kw_only(), py::arg("length_ms"),
             py::arg("delay_ms"), py::arg("rtt_ms"));
}

}  // namespace mvfstrl
