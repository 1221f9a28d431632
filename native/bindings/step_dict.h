// What came of a step, as Python is told (realtime/policy.py: Step).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>

#include "observe/step_account.h"

namespace mvfstrl {

inline pybind11::dict step_dict(const StepResult& step, std::int32_t job) {
  pybind11::dict result;
  result["reward"] = step.reward;
  result["first"] = step.first;
  result["terminated"] = step.terminated;
  result["truncated"] = step.truncated;
  result["skipped"] = step.skipped;
  result["job"] = job;
  result["active"] = step.active;
  return result;
}

inline pybind11::array_t<float> observation_array(std::span<const float> values) {
  return pybind11::array_t<float>(static_cast<pybind11::ssize_t>(values.size()), values.data());
}

}  // namespace mvfstrl
