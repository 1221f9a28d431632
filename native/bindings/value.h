// Plain values to Python objects and back.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "environment/value.h"

namespace mvfstrl {

pybind11::object to_python(const Value& value);

// Dicts with string keys, lists, tuples, str, bool, int, float and None; anything with __index__ or __float__
// (NumPy scalars) as a number. Throws ConfigError naming the dotted key of anything else.
Value from_python(const pybind11::handle& object, const std::string& path = "");

}  // namespace mvfstrl
