#include "bindings/step_rows.h"

#include <stdexcept>
#include <string>

#include "bindings/arrays.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

py::ssize_t length_of(const py::array& observation, py::ssize_t axis) {
  if (observation.ndim() != 3) throw std::invalid_argument("observation: must have three dimensions");
  return observation.shape(axis);
}

}  // namespace

RoundRows::RoundRows(const py::array& observation, const py::array& reward, const py::array& terminated,
                     const py::array& truncated, const py::array& first, const py::array& job,
                     const py::array& action)
    : arrays_{observation, reward, terminated, truncated, first, job, action},
      rounds_(length_of(observation, 0)),
      size_(length_of(observation, 1)),
      observation_size_(length_of(observation, 2)) {
  const Shape shape = {rounds_, size_};
  base_ = {.observation = memory_of<float>("observation", observation, {rounds_, size_, observation_size_}),
           .reward = memory_of<float>("reward", reward, shape),
           .terminated = memory_of<bool, std::uint8_t>("terminated", terminated, shape),
           .truncated = memory_of<bool, std::uint8_t>("truncated", truncated, shape),
           .first = memory_of<bool, std::uint8_t>("first", first, shape),
           .job = memory_of<std::int32_t>("job", job, shape)};
  action_ = memory_of<std::int32_t>("action", action, {rounds_ - 1, size_});
}

void RoundRows::check(const VectorEnvironment& environment, std::int64_t t, std::int64_t rounds) const {
  if (size_ != environment.group_size() ||
      observation_size_ != static_cast<std::int64_t>(environment.observation_size())) {
    throw std::invalid_argument("rows: " + std::to_string(size_) + " of " +
                                std::to_string(observation_size_) + " elements, the group's are " +
                                std::to_string(environment.group_size()) + " of " +
                                std::to_string(environment.observation_size()));
  }
  if (t < 0 || t >= rounds) {
    throw std::invalid_argument("t: must be 0 to " + std::to_string(rounds - 1) + ", got " +
                                std::to_string(t));
  }
}

StepRows RoundRows::results(const VectorEnvironment& environment, std::int64_t t) const {
  check(environment, t, rounds_);
  const std::int64_t row = t * size_;
  return {.observation = base_.observation + row * observation_size_,
          .reward = base_.reward + row,
          .terminated = base_.terminated + row,
          .truncated = base_.truncated + row,
          .first = base_.first + row,
          .job = base_.job + row};
}

std::span<const std::int32_t> RoundRows::actions(const VectorEnvironment& environment, std::int64_t t) const {
  check(environment, t, rounds_ - 1);
  return {action_ + t * size_, static_cast<std::size_t>(size_)};
}

void bind_step_rows(py::module_& module) {
  const auto given = [](RoundRows::Name name) {
    return [name](const RoundRows& r) { return r.array(name); };
  };
  py::class_<RoundRows>(module, "StepRows", "Arrays that rounds are written into, row by row.")
      .def(py::init<const py::array&, const py::array&, const py::array&, const py::array&, const py::array&,
                    const py::array&, const py::array&>(),
           py::kw_only(), py::arg("observation"), py::arg("reward"), py::arg("terminated"),
           py::arg("truncated"), py::arg("first"), py::arg("job"), py::arg("action"))
      .def_property_readonly("observation", given(RoundRows::kObservation))
      .def_property_readonly("reward", given(RoundRows::kReward))
      .def_property_readonly("terminated", given(RoundRows::kTerminated))
      .def_property_readonly("truncated", given(RoundRows::kTruncated))
      .def_property_readonly("first", given(RoundRows::kFirst))
      .def_property_readonly("job", given(RoundRows::kJob))
      .def_property_readonly("action", given(RoundRows::kAction));
}

}  // namespace mvfstrl
