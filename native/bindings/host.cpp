// A real connection under our control (host/session.h), for transports written in Python. Times are whole
// nanoseconds.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "bindings/step_dict.h"
#include "bindings/value.h"
#include "environment/config_io.h"
#include "environment/hosted_session.h"
#include "environment/local_config.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

TimePoint time_of(std::int64_t ns) { return TimePoint::zero() + Duration::from_ns(ns); }
std::int64_t ns_of(TimePoint time) { return (time - TimePoint::zero()).ns(); }

ByteCount bytes_of(const char* name, std::int64_t value) {
  if (value < 0) {
    throw std::invalid_argument(std::string(name) + ": must not be negative, got " + std::to_string(value));
  }
  return ByteCount(value);
}

class HostedConnection {
 public:
  HostedConnection(const EnvironmentConfig& config, const HostedOptions& options)
      : session_(make_session(config, options)),
        flow_(config.flows[options.flow]),
        index_(options.flow),
        job_(options.job) {}

  Session& session() { return *session_; }

  void packet_sent(std::int64_t now, std::uint64_t number, std::int64_t size, bool ack_eliciting,
                   bool app_limited, std::int64_t retransmitted) {
    const HostedPacket packet{.number = number,
                              .size = bytes_of("size_bytes", size),
                              .app_limited = app_limited,
                              .retransmitted = bytes_of("retransmitted_bytes", retransmitted)};
    if (ack_eliciting) session_->packet_sent(time_of(now), packet);
  }
  void bytes_received(std::int64_t bytes) { session_->bytes_received(bytes_of("bytes", bytes)); }

  std::optional<std::int64_t> next_timer() const {
    const TimePoint next = session_->next_timer();
    return next.is_never() ? std::nullopt : std::optional(ns_of(next));
  }
  std::optional<std::pair<std::int64_t, std::int64_t>> pacing() const {
    const std::optional<Pace>& pace = session_->pace();
    if (!pace) return std::nullopt;
    return std::pair(pace->window.value(), pace->over.ns());
  }

  py::array_t<float> observation() const { return observation_array(session_->observation()); }
  py::dict step() const { return step_dict(session_->step(), job_); }
  bool answer(std::int64_t now, std::int32_t action, std::optional<std::int64_t> latency,
              std::optional<std::int64_t> number) {
    const auto waited = latency ? std::optional(Duration::from_ns(*latency)) : std::nullopt;
    return session_->answer(time_of(now), action, waited, number);
  }
  py::object report(std::int64_t now) const {
    return to_python(session_report(*session_, flow_, index_, time_of(now)));
  }

 private:
  std::unique_ptr<Session> session_;
  FlowConfig flow_;
  std::size_t index_;
  std::int32_t job_;
};

std::unique_ptr<HostedConnection> make_hosted(const py::dict& config, std::size_t flow, std::uint64_t seed,
                                              std::shared_ptr<PolicyModel> policy, std::int32_t job,
                                              const std::optional<py::dict>& guard, bool series) {
  HostedOptions options{.flow = flow, .seed = seed, .model = std::move(policy), .job = job, .series = series};
  if (guard) options.guard = parse_guard(from_python(*guard));
  const EnvironmentConfig parsed = parse_config(from_python(config));
  if (flow < parsed.flows.size()) refuse_mvfst_scheme(parsed.flows[flow].controller, flow);
  return std::make_unique<HostedConnection>(parsed, options);
}

using Hosted = py::class_<HostedConnection>;

void bind_transport_side(Hosted& hosted) {
  hosted
      .def("packet_sent", &HostedConnection::packet_sent, py::arg("now_ns"), py::arg("number"),
           py::arg("size_bytes"), py::arg("ack_eliciting") = true, py::arg("app_limited") = false,
           py::arg("retransmitted_bytes") = 0)
      .def(
          "packet_acked", [](HostedConnection& c, std::uint64_t n) { c.session().packet_acked(n); },
          py::arg("number"))
      .def(
          "packet_lost", [](HostedConnection& c, std::uint64_t n) { c.session().packet_lost(n); },
          py::arg("number"))
      .def(
          "packet_discarded", [](HostedConnection& c, std::uint64_t n) { c.session().packet_discarded(n); },
          py::arg("number"))
      .def(
          "rtt_sample",
          [](HostedConnection& c, std::int64_t latest, std::int64_t ack_delay) {
            c.session().rtt_sample(Duration::from_ns(latest), Duration::from_ns(ack_delay));
          },
          py::arg("latest_ns"), py::arg("ack_delay_ns") = 0)
      .def("probe_timeout", [](HostedConnection& c) { c.session().probe_timeout(); })
      .def("bytes_received", &HostedConnection::bytes_received, py::arg("bytes"))
      .def(
          "flush", [](HostedConnection& c, std::int64_t now) { return c.session().flush(time_of(now)); },
          py::arg("now_ns"))
      .def(
          "app_idle",
          [](HostedConnection& c, std::int64_t now, bool idle) { c.session().app_idle(time_of(now), idle); },
          py::arg("now_ns"), py::arg("idle"))
      .def_property_readonly("congestion_window",
                             [](HostedConnection& c) { return c.session().congestion_window().value(); })
      .def_property_readonly("bytes_in_flight",
                             [](HostedConnection& c) { return c.session().bytes_in_flight().value(); })
      .def_property_readonly("writable", [](HostedConnection& c) { return c.session().writable().value(); })
      .def_property_readonly("pacing", &HostedConnection::pacing)
      .def_property_readonly("next_timer_ns", &HostedConnection::next_timer);
}

void bind_agent_side(Hosted& hosted) {
  hosted
      .def(
          "poll", [](HostedConnection& c, std::int64_t now) { return c.session().poll(time_of(now)); },
          py::arg("now_ns"))
      .def_property_readonly("observation", &HostedConnection::observation)
      .def_property_readonly("observation_number",
                             [](HostedConnection& c) { return c.session().observation_number(); })
      .def("step", &HostedConnection::step)
      .def("answer", &HostedConnection::answer, py::arg("now_ns"), py::arg("action"),
           py::arg("latency_ns") = py::none(), py::arg("number") = py::none())
      .def("report", &HostedConnection::report, py::arg("now_ns"));
}

}  // namespace

void bind_host(py::module_& module) {
  Hosted hosted(module, "HostedConnection", "A real connection that one of our controllers drives.");
  hosted
      .def(py::init(&make_hosted), py::arg("config"), py::kw_only(), py::arg("flow") = 0, py::arg("seed") = 0,
           py::arg("policy") = py::none(), py::arg("job") = -1, py::arg("guard") = py::none(),
           py::arg("series") = false)
      .def(
          "start", [](HostedConnection& c, std::int64_t now) { c.session().start(time_of(now)); },
          py::arg("now_ns"))
      .def(
          "finish",
          [](HostedConnection& c, std::int64_t now, bool complete) {
            c.session().finish(time_of(now), complete);
          },
          py::arg("now_ns"), py::arg("complete") = false);
  bind_transport_side(hosted);
  bind_agent_side(hosted);
}

}  // namespace mvfstrl
