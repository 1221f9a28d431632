// What the fields of an observation are, for the documentation that is made from it.
#include <pybind11/pybind11.h>

#include <string>

#include "observe/fields.h"

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

}  // namespace

void bind_observe(py::module_& module) {
  module.def(
      "observation_fields", &fields_list,
      "The fields that an observation's statistics are of: name, kind (level or counter), raw unit, what one "
      "observation unit is of it (norm), upper bound in observation units, meaning.");
}

}  // namespace mvfstrl
