#include "bindings/value.h"

#include <cstdint>
#include <utility>
#include <variant>

#include "environment/config_visitor.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

struct ToPython {
  py::object operator()(std::monostate) const { return py::none(); }
  py::object operator()(bool value) const { return py::bool_(value); }
  py::object operator()(std::int64_t value) const { return py::int_(value); }
  py::object operator()(double value) const { return py::float_(value); }
  py::object operator()(const std::string& value) const { return py::str(value); }
  py::object operator()(const Value::List& list) const {
    py::list result;
    for (const Value& item : list) result.append(to_python(item));
    return result;
  }
  py::object operator()(const Value::Map& map) const {
    py::dict result;
    for (const auto& [key, value] : map) result[py::str(key)] = to_python(value);
    return result;
  }
};

Value integer_from(const py::handle& object, const std::string& path) {
  const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
  if (!number) throw py::error_already_set();
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0) throw ConfigError(path, "out of range, got " + std::string(py::str(object)));
  return Value(static_cast<std::int64_t>(value));
}

Value list_from(const py::handle& object, const std::string& path) {
  Value::List list;
  for (const py::handle& item : object) {
    list.push_back(from_python(item, path + "[" + std::to_string(list.size()) + "]"));
  }
  return Value(std::move(list));
}

Value map_from(const py::dict& object, const std::string& path) {
  Value::Map map;
  for (const auto& [key, value] : object) {
    if (!py::isinstance<py::str>(key)) throw ConfigError(path, "keys must be strings");
    const auto name = key.cast<std::string>();
    map.emplace_back(name, from_python(value, path.empty() ? name : path + "." + name));
  }
  return Value(std::move(map));
}

}  // namespace

py::object to_python(const Value& value) { return std::visit(ToPython{}, value.data()); }

Value from_python(const py::handle& object, const std::string& path) {
  if (object.is_none()) return {};
  if (py::isinstance<py::bool_>(object)) return Value(object.cast<bool>());
  if (py::isinstance<py::str>(object)) return Value(object.cast<std::string>());
  if (py::isinstance<py::dict>(object)) return map_from(py::reinterpret_borrow<py::dict>(object), path);
  if (py::isinstance<py::list>(object) || py::isinstance<py::tuple>(object)) return list_from(object, path);
  if (PyIndex_Check(object.ptr()) != 0) return integer_from(object, path);
  if (PyFloat_Check(object.ptr()) || py::hasattr(object, "__float__")) {
    return Value(py::float_(py::reinterpret_borrow<py::object>(object)).cast<double>());
  }
  throw ConfigError(
      path.empty() ? "configuration" : path,
      "must be plain data, got a " + std::string(py::str(py::type::of(object).attr("__name__"))));
}

}  // namespace mvfstrl
