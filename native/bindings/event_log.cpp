#include "bindings/event_log.h"

#include <pybind11/numpy.h>

#include <vector>

namespace py = pybind11;

namespace mvfstrl {
namespace {

template <class T, class Event, class Field>
py::array_t<T> column(const std::vector<Event>& events, Field field) {
  py::array_t<T> result(static_cast<py::ssize_t>(events.size()));
  T* out = result.mutable_data();
  for (const Event& event : events) *out++ = static_cast<T>(field(event));
  return result;
}

template <class Event>
py::dict timed(const std::vector<Event>& events) {
  py::dict result;
  result["at_ns"] = column<std::int64_t>(events, [](const Event& e) { return e.at.ns(); });
  return result;
}

template <class Event>
py::dict packets(const std::vector<Event>& events) {
  py::dict result = timed(events);
  result["number"] = column<std::int64_t>(events, [](const Event& e) { return e.number; });
  result["bytes"] = column<std::int64_t>(events, [](const Event& e) { return e.bytes; });
  return result;
}

py::dict acks(const EventLog& log) {
  using Ack = EventLog::Ack;
  py::dict result = timed(log.acks());
  result["ack_delay_ns"] = column<std::int64_t>(log.acks(), [](const Ack& a) { return a.ack_delay.ns(); });
  result["bytes"] = column<std::int64_t>(log.acks(), [](const Ack& a) { return a.bytes; });
  result["first_range"] = column<std::int64_t>(log.acks(), [](const Ack& a) { return a.first_range; });
  result["ranges"] = column<std::int64_t>(log.acks(), [](const Ack& a) { return a.ranges; });
  result["range_first"] = column<std::int64_t>(log.ranges(), [](const AckRange& r) { return r.first; });
  result["range_last"] = column<std::int64_t>(log.ranges(), [](const AckRange& r) { return r.last; });
  return result;
}

py::dict metrics(const EventLog& log) {
  using Metrics = EventLog::Metrics;
  py::dict result = timed(log.metrics());
  const auto add = [&](const char* name, auto field) {
    result[name] = column<std::int64_t>(log.metrics(), field);
  };
  add("min_rtt_ns", [](const Metrics& m) { return m.min_rtt.ns(); });
  add("smoothed_rtt_ns", [](const Metrics& m) { return m.smoothed_rtt.ns(); });
  add("latest_rtt_ns", [](const Metrics& m) { return m.latest_rtt.ns(); });
  add("rtt_variance_ns", [](const Metrics& m) { return m.rtt_variance.ns(); });
  add("congestion_window", [](const Metrics& m) { return m.congestion_window; });
  add("bytes_in_flight", [](const Metrics& m) { return m.bytes_in_flight; });
  add("packets_in_flight", [](const Metrics& m) { return m.packets_in_flight; });
  add("pto_count", [](const Metrics& m) { return m.pto_count; });
  add("pacing_bps", [](const Metrics& m) { return m.pacing_bps; });
  return result;
}

}  // namespace

py::dict event_columns(const EventLog& log) {
  py::dict result;
  result["order"] = column<std::uint8_t>(log.order(), [](EventLog::Kind k) { return k; });
  result["sent"] = packets(log.sent());
  result["sent"]["probe"] = column<bool>(log.sent(), [](const EventLog::Sent& s) { return s.probe; });
  result["acks"] = acks(log);
  result["lost"] = packets(log.lost());
  result["metrics"] = metrics(log);
  py::dict states = timed(log.states());
  py::list names;
  for (const EventLog::State& state : log.states()) names.append(state.name);
  states["name"] = names;
  result["states"] = states;
  py::dict actions = timed(log.actions());
  actions["action"] = column<std::int64_t>(log.actions(), [](const EventLog::Action& a) { return a.action; });
  actions["congestion_window"] =
      column<std::int64_t>(log.actions(), [](const EventLog::Action& a) { return a.congestion_window; });
  result["actions"] = actions;
  return result;
}

}  // namespace mvfstrl
