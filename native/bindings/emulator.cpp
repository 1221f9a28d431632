// The real-time path emulator.
#include "emulator/emulator.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/value.h"
#include "emulator/tun_port.h"
#include "emulator/udp_port.h"
#include "environment/config_io.h"
#include "environment/scenario.h"
#include "environment/series.h"

namespace py = pybind11;

namespace mvfstrl {
namespace {

using HostPort = std::pair<std::string, std::uint16_t>;

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

std::int32_t scenario_index(const std::variant<std::int32_t, std::string>& scenario,
                            const ScenarioDistribution& scenarios) {
  const auto size = static_cast<std::int32_t>(scenarios.size());
  if (const auto* index = std::get_if<std::int32_t>(&scenario)) {
    if (*index >= 0 && *index < size) return *index;
    throw std::invalid_argument("scenario: there is no number " + std::to_string(*index) + ", the last is " +
                                std::to_string(size - 1));
  }
  const std::string& name = std::get<std::string>(scenario);
  std::string known;
  for (std::int32_t i = 0; i < size; ++i) {
    if (scenarios.name(i) == name) return i;
    known += (i == 0 ? "" : ", ") + scenarios.name(i);
  }
  throw std::invalid_argument("scenario: there is no '" + name + "' among " + known);
}

// What only a simulated path has: it would be left out in silence.
void check_real(const EnvironmentConfig& config) {
  if (!config.cross_traffic.empty()) {
    throw std::invalid_argument("cross_traffic: an emulated path carries none of its own");
  }
  for (std::size_t i = 0; i < config.flows.size(); ++i) {
    if (config.flows[i].delay && !config.flows[i].delay->is_zero()) {
      throw std::invalid_argument("flows[" + std::to_string(i) +
                                  "].delay: an emulated path has one delay for all");
    }
  }
}

EmulatedPathConfig path_config(const EnvironmentConfig& config,
                               const std::variant<std::int32_t, std::string>& scenario, std::uint64_t seed,
                               bool series = false) {
  check_real(config);
  const ScenarioDistribution scenarios(config.scenarios, config.transport.window.packet_size);
  const EpisodePath path = scenarios.sample(seed, scenario_index(scenario, scenarios));
  return {.name = scenarios.name(path.scenario),
          .data = path.uplink,
          .acks = path.downlink,
          .data_rng = data_rng(seed),
          .ack_rng = ack_rng(seed),
          .overhead_bytes = path.overhead_bytes,
          .log = {},
          .series = series ? std::optional(series_window(config.observation)) : std::nullopt};
}

// Keys of a flow's report that the path alone can tell (environment/report.h).
void report_link(py::dict& out, const LinkReport& link, Duration length) {
  const auto number = [](ByteCount bytes) { return static_cast<double>(bytes.value()); };
  const DelayHistogram& sojourn = link.sojourn;
  const bool any = sojourn.count() > 0;
  const double propagation_ms = any ? link.propagation.to_ms() : 0;
  const double mean = sojourn.mean().to_ms();
  const double p50 = sojourn.percentile(0.50).to_ms();
  const double p95 = sojourn.percentile(0.95).to_ms();
  const std::int64_t lost = link.queue_drops.packets + link.random_losses.packets;
  out["throughput_mbps"] =
      length > Duration::zero() ? Bandwidth::from_bytes_over(link.link_bytes, length).to_mbps() : 0.0;
  out["utilisation"] = ratio(number(link.link_bytes), number(link.offered_bytes));
  out["delay_mean_ms"] = mean + propagation_ms;
  out["delay_p50_ms"] = p50 + propagation_ms;
  out["delay_p95_ms"] = p95 + propagation_ms;
  out["queue_delay_mean_ms"] = mean;
  out["queue_delay_p50_ms"] = p50;
  out["queue_delay_p95_ms"] = p95;
  out["loss"] = ratio(static_cast<double>(lost), static_cast<double>(lost + link.delivered.packets));
  out["queue_loss"] =
      ratio(static_cast<double>(link.queue_drops.packets), static_cast<double>(link.sent.packets));
  out["sent_packets"] = link.sent.packets;
  out["delivered_packets"] = link.delivered.packets;
  out["queue_drops"] = link.queue_drops.packets;
  out["random_losses"] = link.random_losses.packets;
  out["in_flight_packets"] = link.in_flight_packets;
}

// Columns of an episode's series (environment/series.h) that the path alone can tell.
py::dict series_dict(const std::vector<LinkPoint>& series, Duration window) {
  py::list time, throughput, capacity, delay;
  for (const LinkPoint& point : series) {
    const double nothing = std::numeric_limits<double>::quiet_NaN();
    const auto packets = static_cast<double>(point.left.packets);
    time.append((window * static_cast<std::int64_t>(time.size() + 1)).to_ms());
    throughput.append(Bandwidth::from_bytes_over(ByteCount(point.left.bytes), window).to_mbps());
    capacity.append(Bandwidth::from_bytes_over(point.offered, window).to_mbps());
    delay.append(packets > 0 ? point.sojourn.to_ms() / packets : nothing);
  }
  py::dict out;
  out["time_ms"] = time;
  out["throughput_mbps"] = throughput;
  out["capacity_mbps"] = capacity;
  out["queue_delay_ms"] = delay;
  return out;
}

py::dict to_dict(const PathReport& report) {
  py::dict out;
  report_link(out, report.data, report.length);
  py::dict acks;
  report_link(acks, report.acks, report.length);
  out["acks"] = acks;
  out["length_ms"] = report.length.to_ms();
  out["lateness_p50_ms"] = report.lateness.percentile(0.50).to_ms();
  out["lateness_p99_ms"] = report.lateness.percentile(0.99).to_ms();
  out["lateness_max_ms"] = report.lateness_max.to_ms();
  out["late"] = report.late();
  out["stalled"] = report.faults.stalled;
  out["oversized"] = report.faults.oversized;
  out["overflow"] = report.faults.overflow;
  out["overruns"] = report.faults.overruns;
  out["unsent"] = report.faults.unsent;
  out["unaddressed"] = report.faults.unaddressed;
  return out;
}

// A path as Python holds it: alive until closed, by itself or with the emulator.
class BoundPath {
 public:
  BoundPath(std::shared_ptr<Emulator> emulator, const EmulatedPathConfig& config, Ports ports,
            const Address& client_address)
      : emulator_(std::move(emulator)),
        path_(emulator_->add(config, std::move(ports))),
        name_(config.name),
        series_(config.series),
        client_address_(client_address) {}
  BoundPath(const BoundPath&) = delete;
  BoundPath& operator=(const BoundPath&) = delete;
  ~BoundPath() {
    try {
      close();
    } catch (const std::exception&) {  // the emulator was closed first, or a log could not be written
    }
  }

  const std::string& name() const { return name_; }
  // The length of its windows; none: no series is recorded.
  std::optional<Duration> series() const { return series_; }
  HostPort client_address() const { return {client_address_.host(), client_address_.port()}; }
  void start() {
    emulator_->with([this] { open()->start(monotonic_now()); });
  }
  void stall(double duration_ms) {
    if (!(duration_ms >= 0)) throw std::invalid_argument("duration_ms: must not be negative");
    emulator_->with([&] { open()->stall(monotonic_now() + Duration::from_ms_f(duration_ms)); });
  }
  PathReport report() {
    return last_ ? *last_ : emulator_->with([this] { return path_->report(monotonic_now()); });
  }
  void close() {
    if (path_ != nullptr) last_ = emulator_->remove(std::exchange(path_, nullptr));
  }

 private:
  EmulatedPath* open() {
    if (path_ == nullptr) throw std::runtime_error("the path is closed");
    return path_;
  }

  std::shared_ptr<Emulator> emulator_;
  EmulatedPath* path_;
  std::string name_;
  std::optional<Duration> series_;
  Address client_address_;
  std::optional<PathReport> last_;
};

std::unique_ptr<BoundPath> add_path(const std::shared_ptr<Emulator>& emulator, const py::dict& config,
                                    const std::variant<std::int32_t, std::string>& scenario,
                                    std::uint64_t seed, const HostPort& server, const std::string& listen,
                                    const std::optional<std::string>& log, bool series) {
  const Value value = from_python(config);
  const py::gil_scoped_release release;
  EmulatedPathConfig path = path_config(parse_config(value), scenario, seed, series);
  path.log = log;
  auto client = std::make_unique<UdpClientPort>(Address::parse(listen));
  const Address address = client->address();
  auto to_server = std::make_unique<UdpServerPort>(Address::resolve(server.first, server.second));
  return std::make_unique<BoundPath>(
      emulator, path, Ports{.client = std::move(client), .server = std::move(to_server)}, address);
}

// Packets have their headers already: what is added to them is only what a scenario adds to IP.
std::unique_ptr<BoundPath> add_tunnel(const std::shared_ptr<Emulator>& emulator, const py::dict& config,
                                      const std::variant<std::int32_t, std::string>& scenario,
                                      std::uint64_t seed, const std::string& inner, const std::string& outer,
                                      const std::optional<std::string>& log) {
  constexpr std::int64_t kUdpHeaders = 28;
  const Value value = from_python(config);
  const py::gil_scoped_release release;
  EmulatedPathConfig path = path_config(parse_config(value), scenario, seed);
  path.overhead_bytes = std::max<std::int64_t>(0, path.overhead_bytes - kUdpHeaders);
  path.log = log;
  Ports ports{.client = std::make_unique<TunPort>(inner), .server = std::make_unique<TunPort>(outer)};
  return std::make_unique<BoundPath>(emulator, path, std::move(ports), Address());
}

// What an open-loop sender's datagrams meet on the data link of an emulated path, in virtual time: when each
// comes out, -1 for those that are lost, the first of two where one is duplicated.
py::array_t<std::int64_t> path_departures(const py::dict& config,
                                          const std::variant<std::int32_t, std::string>& scenario,
                                          std::uint64_t seed, const InputArray<std::int64_t>& at_ns,
                                          std::int64_t payload_bytes) {
  const EmulatedPathConfig path = path_config(parse_config(from_python(config)), scenario, seed);
  Direction direction(path.data, Direction::Order::kLinkLossDelay, path.data_rng);
  std::vector<std::int64_t> out(static_cast<std::size_t>(at_ns.size()), -1);
  const auto run = [&](TimePoint until) {
    Packet packet;
    for (TimePoint next = direction.next_event(); next <= until; next = direction.next_event()) {
      if (direction.advance(next, packet) && out[packet.id] < 0) out[packet.id] = next.ns();
    }
  };
  Packet packet;
  packet.size_bytes = static_cast<std::uint32_t>(payload_bytes + path.overhead_bytes);
  for (const std::int64_t ns : values_of(at_ns)) {
    run(TimePoint::from_ns(ns));
    direction.enter(TimePoint::from_ns(ns), packet);
    ++packet.id;
  }
  // What is inside comes out within ten minutes of the last, or counts as lost.
  run(TimePoint::from_ns(at_ns.size() > 0 ? at_ns.at(at_ns.size() - 1) : 0) + Duration::from_seconds(600));
  return py::array_t<std::int64_t>(static_cast<py::ssize_t>(out.size()), out.data());
}

void bind_path_class(py::module_& module) {
  using Released = py::call_guard<py::gil_scoped_release>;
  py::class_<BoundPath>(module, "EmulatedPath")
      .def_property_readonly("scenario", &BoundPath::name)
      .def_property_readonly("client_address", &BoundPath::client_address)
      .def("start", &BoundPath::start, Released())
      .def("stall", &BoundPath::stall, py::arg("duration_ms"), Released())
      .def("report",
           [](BoundPath& path) {
             std::optional<PathReport> report;
             {
               const py::gil_scoped_release release;
               report = path.report();
             }
             py::dict out = to_dict(*report);
             if (path.series()) out["series"] = series_dict(report->series, *path.series());
             return out;
           })
      .def("close", &BoundPath::close, Released())
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](BoundPath& path, const py::args&) {
        const py::gil_scoped_release release;
        path.close();
      });
}

void translate(std::exception_ptr exception) {
  try {
    if (exception) std::rethrow_exception(exception);
  } catch (const std::system_error& error) {
    py::set_error(PyExc_OSError, py::make_tuple(error.code().value(), error.what()));
  }
}

}  // namespace

void bind_emulator(py::module_& module) {
  py::register_local_exception_translator(&translate);
  bind_path_class(module);
  module.def("path_departures", &path_departures, py::arg("config"), py::kw_only(), py::arg("scenario") = 0,
             py::arg("seed"), py::arg("at_ns"), py::arg("payload_bytes"));
  py::class_<Emulator, std::shared_ptr<Emulator>>(module, "Emulator")
      .def(py::init<>())
      .def("add_path", &add_path, py::arg("config"), py::kw_only(), py::arg("scenario") = 0, py::arg("seed"),
           py::arg("server"), py::arg("listen") = "127.0.0.1", py::arg("log") = py::none(),
           py::arg("series") = false)
      .def("add_tunnel", &add_tunnel, py::arg("config"), py::kw_only(), py::arg("scenario") = 0,
           py::arg("seed"), py::arg("inner"), py::arg("outer"), py::arg("log") = py::none())
      .def_property_readonly("has_priority", &Emulator::has_priority)
      .def("close", &Emulator::close, py::call_guard<py::gil_scoped_release>())
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](Emulator& emulator, const py::args&) {
        const py::gil_scoped_release release;
        emulator.close();
      });
}

}  // namespace mvfstrl
