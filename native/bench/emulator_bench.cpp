// What one core of the path emulator sustains, in real time over loopback: prints one JSON object {name,
// value, unit} a line.
//
//   emulator_bench                     every figure
//   emulator_bench --run MBPS PATHS    one load: so many paths at that rate each, for two seconds
//
// A load is sustained if nothing was thrown away and the 99th percentile of lateness is within its limit.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "emulator/clock.h"
#include "emulator/emulator.h"
#include "emulator/udp_port.h"

namespace mvfstrl {
namespace {

constexpr std::size_t kPayload = 1252;
constexpr std::int64_t kOverhead = 28;
constexpr std::int64_t kDataPerAck = 10;
constexpr std::size_t kAckPayload = 40;
constexpr Duration kTick = Duration::from_ms(1);
constexpr Duration kLength = Duration::from_ms(2'000);

// One end of the load: many datagrams a system call.
class End {
 public:
  explicit End(UdpSocket socket) : socket_(std::move(socket)) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      buffers_[i] = {.iov_base = bytes_.data(), .iov_len = bytes_.size()};
      messages_[i].msg_hdr.msg_iov = &buffers_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  const UdpSocket& socket() const { return socket_; }

  void send(std::int64_t count, std::size_t size, const Address* to) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      buffers_[i].iov_len = size;
      messages_[i].msg_hdr.msg_name = to != nullptr ? const_cast<sockaddr*>(to->get()) : nullptr;
      messages_[i].msg_hdr.msg_namelen = to != nullptr ? to->size() : 0;
    }
    while (count > 0) {
      const auto batch = static_cast<unsigned>(std::min<std::int64_t>(count, kBatch));
      const int sent = sendmmsg(socket_.fd(), messages_.data(), batch, 0);
      if (sent <= 0) return;
      count -= sent;
    }
  }

  // Reads all that has come and returns how many; whose the last was, if `sender` asks.
  std::int64_t drain(Address* sender = nullptr) {
    std::int64_t total = 0;
    for (int count = static_cast<int>(kBatch); count == static_cast<int>(kBatch);) {
      sockaddr_storage from{};
      for (std::size_t i = 0; i < kBatch; ++i) {
        buffers_[i].iov_len = bytes_.size();
        messages_[i].msg_hdr.msg_name = sender != nullptr ? &from : nullptr;
        messages_[i].msg_hdr.msg_namelen = sender != nullptr ? sizeof(from) : 0;
      }
      count = recvmmsg(socket_.fd(), messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
      if (count <= 0) break;
      if (sender != nullptr) sender->assign(from, messages_[0].msg_hdr.msg_namelen);
      total += count;
    }
    return total;
  }

 private:
  static constexpr std::size_t kBatch = 64;

  UdpSocket socket_;
  std::array<std::byte, 2048> bytes_{};
  std::array<mmsghdr, kBatch> messages_{};
  std::array<iovec, kBatch> buffers_{};
};

// A path under a constant load, and the two ends that make it.
struct Load {
  Load(Emulator& emulator, double mbps)
      : server(UdpSocket::bound(Address::parse("127.0.0.1"))),
        path(make_path(emulator, mbps)),
        client(UdpSocket::connected(client_address)) {}

  EmulatedPath* make_path(Emulator& emulator, double mbps) {
    EmulatedPathConfig config;
    config.name = "load";
    config.data = {.rate = ConstantRate{Bandwidth::from_mbps(mbps * 1.05)},
                   .queue = {.kind = QueueKind::kDropTail, .packets = 20'000},
                   .delay = Duration::from_ms(10)};
    config.acks = config.data;
    config.overhead_bytes = kOverhead;
    auto port = std::make_unique<UdpClientPort>(Address::parse("127.0.0.1"));
    client_address = port->address();
    auto to_server = std::make_unique<UdpServerPort>(server.socket().local());
    return emulator.add(config, {.client = std::move(port), .server = std::move(to_server)});
  }
  // Sends what is due by `elapsed` and reads what has come.
  void tick(Duration elapsed, double mbps) {
    const auto due = static_cast<std::int64_t>(Bandwidth::from_mbps(mbps).bytes_in(elapsed).value()) /
                     static_cast<std::int64_t>(kPayload + kOverhead);
    client.send(due - sent, kPayload, nullptr);
    sent = due;
    received += server.drain(&back);
    if (received / kDataPerAck > acknowledged) {
      server.send(received / kDataPerAck - acknowledged, kAckPayload, &back);
      acknowledged = received / kDataPerAck;
    }
    client.drain();
  }

  End server;
  Address client_address;
  EmulatedPath* path;
  End client;
  Address back;
  std::int64_t sent = 0, received = 0, acknowledged = 0;
};

struct Outcome {
  double mbps = 0;  // of payload and overhead, delivered to the servers
  double lost = 0;  // share of what was sent
  std::int64_t overruns = 0;
  double lateness_p50_ms = 0, lateness_p99_ms = 0;  // of the path where it is greatest
  double busy = 0;                                  // share of a core that the loop took
  double ns_per_datagram = 0;

  bool sustained() const { return lost == 0 && overruns == 0 && lateness_p99_ms <= kLatenessLimit.to_ms(); }
};

double loop_seconds(Emulator& emulator) {
  return emulator.with([] { return read_clock(CLOCK_THREAD_CPUTIME_ID).to_seconds(); });
}

Outcome run(double mbps, int paths) {
  Emulator emulator;
  std::vector<std::unique_ptr<Load>> loads;
  for (int i = 0; i < paths; ++i) loads.push_back(std::make_unique<Load>(emulator, mbps));
  const double busy_before = loop_seconds(emulator);
  const TimePoint start = monotonic_now();
  TimePoint now = start;
  while (now - start < kLength) {
    for (auto& load : loads) load->tick(now - start, mbps);
    const TimePoint next = start + Duration::from_ns(((now - start).ns() / kTick.ns() + 1) * kTick.ns());
    const timespec wake{.tv_sec = next.ns() / 1'000'000'000, .tv_nsec = next.ns() % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, nullptr);
    now = monotonic_now();
  }
  const Duration length = now - start;
  const double busy = loop_seconds(emulator) - busy_before;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // what is under way arrives

  Outcome outcome;
  std::int64_t sent = 0, received = 0, acks = 0;
  for (auto& load : loads) {
    load->received += load->server.drain();
    sent += load->sent;
    received += load->received;
    acks += load->acknowledged;
    const PathReport report = emulator.with([&] { return load->path->report(monotonic_now()); });
    outcome.overruns += report.faults.overruns + report.faults.overflow + report.data.queue_drops.packets;
    outcome.lateness_p50_ms = std::max(outcome.lateness_p50_ms, report.lateness.percentile(0.5).to_ms());
    outcome.lateness_p99_ms = std::max(outcome.lateness_p99_ms, report.lateness.percentile(0.99).to_ms());
  }
  const ByteCount bytes(received * static_cast<std::int64_t>(kPayload + kOverhead));
  outcome.mbps = Bandwidth::from_bytes_over(bytes, length).to_mbps();
  outcome.lost = 1 - static_cast<double>(received) / static_cast<double>(sent);
  outcome.busy = busy / length.to_seconds();
  outcome.ns_per_datagram = 1e9 * busy / static_cast<double>(received + acks);
  return outcome;
}

void print(const char* name, double value, const char* unit) {
  std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name, value, unit);
  std::fflush(stdout);
}

void tell(double mbps, int paths, const Outcome& o) {
  std::printf(
      "%d x %g Mbps: delivered %.1f Mbps, lost %.4f, overruns %lld, lateness p50 %.3f p99 %.3f ms, core %.0f "
      "%%, "
      "%.0f ns/datagram%s\n",
      paths, mbps, o.mbps, o.lost, static_cast<long long>(o.overruns), o.lateness_p50_ms, o.lateness_p99_ms,
      100 * o.busy, o.ns_per_datagram, o.sustained() ? "" : ": not sustained");
  std::fflush(stdout);
}

// The best of three: other load on the machine only ever does harm.
Outcome best_of_three(double mbps, int paths) {
  Outcome best;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Outcome outcome = run(mbps, paths);
    if (attempt == 0 || outcome.lateness_p99_ms < best.lateness_p99_ms) best = outcome;
    tell(mbps, paths, outcome);
    if (outcome.sustained()) return outcome;
  }
  return best;
}

void measure() {
  double highest = 0;
  Outcome at_highest;
  for (const double mbps : {200., 400., 600., 800., 1000., 1200., 1500., 2000.}) {
    const Outcome outcome = best_of_three(mbps, 1);
    if (!outcome.sustained()) break;
    highest = mbps;
    at_highest = outcome;
  }
  print("emulator_mbps_one_path", highest, "Mbit/s");
  print("emulator_ns_per_datagram", at_highest.ns_per_datagram, "ns");
  int most = 0;
  for (const int paths : {10, 20, 40, 60, 80}) {
    const Outcome outcome = best_of_three(12, paths);
    if (paths == 40) print("emulator_lateness_p99_40_paths", outcome.lateness_p99_ms, "ms");
    if (!outcome.sustained()) break;
    most = paths;
  }
  print("emulator_paths_12mbps", most, "paths");
}

}  // namespace
}  // namespace mvfstrl

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--run") == 0) {
    const double mbps = std::atof(argv[2]);
    const int paths = std::atoi(argv[3]);
    mvfstrl::tell(mbps, paths, mvfstrl::run(mbps, paths));
    return 0;
  }
  if (argc != 1) {
    std::fprintf(stderr, "usage: %s [--run MBPS PATHS]\n", argv[0]);
    return 2;
  }
  mvfstrl::measure();
  return 0;
}
