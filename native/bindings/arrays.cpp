#include "bindings/arrays.h"

namespace mvfstrl {

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (const pybind11::ssize_t length : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(length);
  return text + "]";
}

}  // namespace mvfstrl
