// Connections of real mvfst (mvfst/sender.h, mvfst/receiver.h). Whoever waits for one lets other threads run.
#include <glog/logging.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "bindings/step_dict.h"
#include "bindings/value.h"
#include "environment/config_io.h"
#include "environment/hosted_session.h"
#include "environment/local_config.h"
#include "mvfst/receiver.h"
#include "mvfst/sender.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

using HostPort = std::pair<std::string, std::uint16_t>;
using Unlocked = py::call_guard<py::gil_scoped_release>;

class BoundSender {
 public:
  BoundSender(const EnvironmentConfig& config, const HostedOptions& hosted, SenderOptions options)
      : flow_(config.flows[hosted.flow]), job_(hosted.job) {
    options.traffic = flow_.app;
    options.scheme = mvfst_scheme(flow_.controller);
    options.pacing = forced_pacing(config.transport.pacing);
    options.window = config.transport.window;
    sender_ = std::make_unique<MvfstSender>(options, make_session(config, hosted));
  }

  MvfstSender& sender() const {
    if (sender_ == nullptr) throw std::runtime_error("the sender is closed");
    return *sender_;
  }
  void close() { sender_ = nullptr; }

  std::optional<py::tuple> take_question() {
    Question question;
    if (!sender().take_question(question)) return std::nullopt;
    return py::make_tuple(observation_array(question.observation), step_dict(question.step, job_));
  }
  py::array_t<float> observation() const { return observation_array(sender().session().observation()); }
  py::dict step() const { return step_dict(sender().session().step(), job_); }
  py::object report() const {
    return to_python(session_report(sender().session(), flow_, 0, sender().now()));
  }
  py::dict lateness() const {
    const Percentiles late = sender().lateness();
    py::dict told;
    told["late_p50_ms"] = late.p50.to_ms();
    told["late_p99_ms"] = late.p99.to_ms();
    told["late_max_ms"] = late.max.to_ms();
    return told;
  }

 private:
  FlowConfig flow_;
  std::int32_t job_;
  std::unique_ptr<MvfstSender> sender_;
};

std::unique_ptr<BoundSender> make_sender(const py::dict& config, std::uint64_t seed, const HostPort& server,
                                         const std::string& ca, std::shared_ptr<PolicyModel> policy,
                                         std::int32_t job, const std::optional<py::dict>& guard,
                                         const std::optional<std::string>& qlog) {
  HostedOptions hosted{.seed = seed, .model = std::move(policy), .job = job, .series = true};
  if (guard) hosted.guard = parse_guard(from_python(*guard));
  if (ca.empty()) throw std::invalid_argument("ca: names the certificate to trust");
  SenderOptions options;
  options.host = server.first;
  options.port = server.second;
  options.ca_file = ca;
  options.qlog_folder = qlog.value_or("");
  const EnvironmentConfig parsed = parse_config(from_python(config));
  const py::gil_scoped_release unlocked;
  return std::make_unique<BoundSender>(parsed, hosted, std::move(options));
}

class BoundReceiver {
 public:
  explicit BoundReceiver(const ReceiverOptions& options)
      : host_(options.host), receiver_(std::make_unique<MvfstReceiver>(options)) {}

  MvfstReceiver& receiver() const {
    if (receiver_ == nullptr) throw std::runtime_error("the receiver is closed");
    return *receiver_;
  }
  HostPort address() const { return {host_, receiver().port()}; }
  py::dict totals() const {
    const ReceiverTotals totals = receiver().totals();
    py::dict told;
    told["connections"] = totals.connections;
    told["open"] = totals.open;
    told["received_bytes"] = totals.received.value();
    return told;
  }
  void close() { receiver_ = nullptr; }

 private:
  std::string host_;
  std::unique_ptr<MvfstReceiver> receiver_;
};

std::unique_ptr<BoundReceiver> make_receiver(const std::string& certificate, const std::string& key,
                                             const std::string& host, std::uint16_t port,
                                             const std::optional<std::string>& qlog) {
  const py::gil_scoped_release unlocked;
  return std::make_unique<BoundReceiver>(ReceiverOptions{.host = host,
                                                         .port = port,
                                                         .certificate_file = certificate,
                                                         .key_file = key,
                                                         .qlog_folder = qlog.value_or("")});
}

void bind_sender(py::module_& module) {
  py::class_<BoundSender>(module, "MvfstSender", "A QUIC client of mvfst that fills its path.")
      .def(py::init(&make_sender), py::arg("config"), py::kw_only(), py::arg("seed") = 0, py::arg("server"),
           py::arg("ca"), py::arg("policy") = py::none(), py::arg("job") = -1, py::arg("guard") = py::none(),
           py::arg("qlog") = py::none())
      .def(
          "connect", [](BoundSender& s, double ms) { s.sender().connect(Duration::from_ms_f(ms)); },
          py::arg("patience_ms"), Unlocked())
      .def(
          "start", [](BoundSender& s) { s.sender().start(); }, Unlocked())
      .def(
          "wait", [](BoundSender& s, double ms) { return s.sender().wait(Duration::from_ms_f(ms)); },
          py::arg("patience_ms"), Unlocked())
      .def("wake", [](BoundSender& s) { s.sender().wake(); })
      .def("take_question", &BoundSender::take_question)
      .def(
          "answer", [](BoundSender& s, std::int32_t action) { s.sender().answer(action); }, py::arg("action"))
      .def_property_readonly("ended", [](BoundSender& s) { return s.sender().ended(); })
      .def_property_readonly("complete", [](BoundSender& s) { return s.sender().complete(); })
      .def(
          "finish", [](BoundSender& s) { s.sender().finish(); }, Unlocked())
      .def_property_readonly("observation", &BoundSender::observation)
      .def("step", &BoundSender::step)
      .def("report", &BoundSender::report)
      .def("lateness", &BoundSender::lateness)
      .def("close", &BoundSender::close, Unlocked());
}

void bind_receiver(py::module_& module) {
  py::class_<BoundReceiver>(module, "MvfstReceiver",
                            "A QUIC server of mvfst that takes all and keeps nothing.")
      .def(py::init(&make_receiver), py::arg("certificate"), py::arg("key"), py::kw_only(),
           py::arg("host") = "127.0.0.1", py::arg("port") = 0, py::arg("qlog") = py::none())
      .def_property_readonly("address", &BoundReceiver::address)
      .def("totals", &BoundReceiver::totals)
      .def("close", &BoundReceiver::close, Unlocked());
}

}  // namespace

void bind_mvfst(py::module_& module) {
  FLAGS_minloglevel = google::GLOG_ERROR;  // mvfst tells of every socket
  py::register_exception_translator([](std::exception_ptr problem) {
    try {
      if (problem) std::rethrow_exception(problem);
    } catch (const ConnectionError& error) {
      PyErr_SetString(PyExc_ConnectionError, error.what());
    }
  });
  bind_sender(module);
  bind_receiver(module);
}

}  // namespace mvfstrl
