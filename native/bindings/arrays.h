// NumPy arrays as the core takes them. What does not fit is refused by a std::invalid_argument that names the
// array.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace mvfstrl {

using Shape = std::vector<pybind11::ssize_t>;
std::string shape_text(const Shape& shape);  // "[6, 5]"

// What is read: converted where it is of another type or not contiguous.
template <class T>
using InputArray = pybind11::array_t<T, pybind11::array::c_style | pybind11::array::forcecast>;

template <class T>
std::span<const T> values_of(const InputArray<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

// Just so many, of whatever shape.
template <class T>
std::span<const T> values_of(const char* name, const InputArray<T>& array, std::size_t size) {
  const auto values = values_of(array);
  if (values.size() == size) return values;
  throw std::invalid_argument(std::string(name) + ": must hold " + std::to_string(size) + " values, got " +
                              std::to_string(values.size()));
}

// The memory of what is written in place: just of this type and shape, contiguous and writable. `Stored` is
// what the core writes for a `Value` of NumPy's.
template <class Value, class Stored = Value>
Stored* memory_of(const char* name, const pybind11::array& array, const Shape& shape) {
  static_assert(sizeof(Value) == sizeof(Stored));
  const auto fail = [&](const std::string& what) {
    throw std::invalid_argument(std::string(name) + ": " + what);
  };
  const auto type = pybind11::dtype::of<Value>();
  if (!array.dtype().is(type)) {
    fail("must be of " + pybind11::str(type).template cast<std::string>() + ", is of " +
         pybind11::str(array.dtype()).template cast<std::string>());
  }
  const Shape has(array.shape(), array.shape() + array.ndim());
  if (has != shape) fail("must have shape " + shape_text(shape) + ", has " + shape_text(has));
  if ((array.flags() & pybind11::array::c_style) == 0) fail("must be contiguous");
  if (!array.writeable()) fail("must be writable");
  return static_cast<Stored*>(const_cast<void*>(array.data()));
}

}  // namespace mvfstrl
