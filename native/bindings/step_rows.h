#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>
#include <vector>

#include "environment/vector_environment.h"

namespace mvfstrl {

// Arrays of the caller's that rounds are written into and actions are read from, a row of them a round.
class RoundRows {
 public:
  // observation [R, n, D], action [R - 1, n], the others [R, n], contiguous; throws std::invalid_argument
  // naming the array that is not.
  RoundRows(const pybind11::array& observation, const pybind11::array& reward,
            const pybind11::array& terminated, const pybind11::array& truncated, const pybind11::array& first,
            const pybind11::array& job, const pybind11::array& action);

  // Those that it was made of.
  enum Name : std::size_t { kObservation, kReward, kTerminated, kTruncated, kFirst, kJob, kAction };
  const pybind11::array& array(Name name) const { return arrays_[name]; }

  // Throw std::invalid_argument if `t` is not one of the rounds, or the rows are not of the group's size.
  StepRows results(const VectorEnvironment& environment, std::int64_t t) const;
  std::span<const std::int32_t> actions(const VectorEnvironment& environment, std::int64_t t) const;

 private:
  void check(const VectorEnvironment& environment, std::int64_t t, std::int64_t rounds) const;

  std::vector<pybind11::array> arrays_;  // by Name; kept alive
  std::int64_t rounds_, size_, observation_size_;
  StepRows base_;
  const std::int32_t* action_;
};

void bind_step_rows(pybind11::module_& module);

}  // namespace mvfstrl
