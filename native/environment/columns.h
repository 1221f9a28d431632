// A list of points as columns.
#pragma once

#include <utility>
#include <vector>

#include "environment/value.h"

namespace mvfstrl {

// One member of every point.
template <typename Point, typename T>
Value column(const std::vector<Point>& points, T Point::* member) {
  Value::List list;
  list.reserve(points.size());
  for (const Point& point : points) list.emplace_back(point.*member);
  return Value(std::move(list));
}

}  // namespace mvfstrl
