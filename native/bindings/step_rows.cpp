#include "bindings/step_rows.h"

#include <stdexcept>
#include <string>

namespace py = pybind11;

namespace mvfstrl {
namespace {

std::string shape_text(const std::vector<py::ssize_t>& shape) {
  std::string text = "[";
  for (const py::ssize_t length : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(length);
  return text + "]";
}

// The array's memory. `Stored` is what the environment writes for a `Value` of NumPy's.
template <class Value, class Stored = Value>
Stored* memory(const char* name, const py::array& array, const std::vector<py::ssize_t>& shape) {
  static_assert(sizeof(Value) == sizeof(Stored));
  const auto fail = [&](const std::string& what) {
    throw std::invalid_argument(std::string(name) + ": " + what);
  };
  if (!array.dtype().is(py::dtype::of<Value>())) {
    fail("must be of " + py::str(py::dtype::of<Value>()).cast<std::string>() + ", is of " +
         py::str(array.dtype()).cast<std::string>());
  }
  const std::vector<py::ssize_t> has(array.shape(), array.shape() + array.ndim());
  if (has != shape) fail("must have shape " + shape_text(shape) + ", has " + shape_text(has));
  if ((array.flags() & py::array::c_style) == 0) fail("must be contiguous");
  if (!array.writeable()) fail("must be writable");
  return static_cast<Stored*>(const_cast<void*>(array.data()));
}

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
  const std::vector<py::ssize_t> shape = {rounds_, size_};
  base_ = {.observation = memory<float>("observation", observation, {rounds_, size_, observation_size_}),
           .reward = memory<float>("reward", reward, shape),
           .terminated = memory<bool, std::uint8_t>("terminated", terminated, shape),
           .truncated = memory<bool, std::uint8_t>("truncated", truncated, shape),
           .first = memory<bool, std::uint8_t>("first", first, shape),
           .job = memory<std::int32_t>("job", job, shape)};
  action_ = memory<std::int32_t>("action", action, {rounds_ - 1, size_});
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
