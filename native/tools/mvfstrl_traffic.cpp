#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "mvfst/receiver.h"
#include "mvfst/sender.h"
#include "policy/policy_file.h"
#include "tools/traffic_arguments.h"
#include "tools/traffic_flow.h"
#include "tools/traffic_report.h"

namespace mvfstrl::tools {
namespace {

volatile std::sig_atomic_t interrupted = 0;

// How long a Ctrl-C may go unnoticed.
constexpr Duration kGlance = Duration::from_ms(100);

// The second one ends the program as ever.
void note_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// What is told meanwhile, out of the way of a summary in JSON.
class Console {
 public:
  explicit Console(bool json) : json_(json), out_(json ? stderr : stdout) {}
  void line(const std::string& text) const {
    std::fprintf(out_, "%s\n", text.c_str());
    std::fflush(out_);
  }
  void summary(const Value& summary) const {
    const std::string text = json_ ? to_json(summary) + "\n" : told(summary);
    if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
      throw std::system_error(errno, std::generic_category(), "the summary cannot be written");
    }
  }

 private:
  bool json_;
  std::FILE* out_;
};

// Since its construction, and when the next line is due.
class Ticker {
 public:
  explicit Ticker(const TrafficArguments& arguments)
      : interval_(arguments.interval), duration_(arguments.duration), due_(arguments.interval) {}

  Duration elapsed() const {
    return Duration::from_ns(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start_)
            .count());
  }
  bool over() const { return duration_ && elapsed() >= *duration_; }
  // Once an interval.
  bool due() {
    if (interval_ <= Duration::zero() || elapsed() < due_) return false;
    while (due_ <= elapsed()) due_ += interval_;
    return true;
  }
  // Until something of the above changes, but no longer than a glance.
  Duration pause() const {
    Duration wait = kGlance;
    if (interval_ > Duration::zero()) wait = std::min(wait, due_ - elapsed());
    if (duration_) wait = std::min(wait, *duration_ - elapsed());
    return std::max(wait, Duration::zero());
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Duration interval_;
  std::optional<Duration> duration_;
  Duration due_;
};

// Says why it stopped.
std::string run_until_over(MvfstSender& sender, const TrafficArguments& arguments, const Console& console) {
  Ticker ticker(arguments);
  SenderProgress last;
  if (arguments.interval > Duration::zero()) console.line(kClientHeader);
  while (true) {
    if (sender.complete()) return "complete";
    if (sender.ended()) return "lost";
    if (interrupted != 0) return "interrupted";
    if (ticker.over()) return "duration";
    if (ticker.due()) {
      const SenderProgress now = sender.progress();
      console.line(client_line(last, now));
      last = now;
    }
    sender.wait(ticker.pause());
  }
}

void run_client(const TrafficArguments& arguments) {
  const Console console(arguments.json);
  TrafficFlow flow = make_traffic_flow(arguments);
  MvfstSender sender(flow.sender, std::move(flow.session));
  sender.connect(arguments.patience);
  sender.start();
  const std::string ended = run_until_over(sender, arguments, console);
  const std::optional<std::string> why = sender.ended();
  sender.finish();
  console.summary(client_summary(arguments, sender.session(), flow.config, sender.now(),
                                 sender.decision_times(), sender.lateness(), ended));
  if (ended == "lost") throw ConnectionError("the connection was lost: " + why.value_or("no reason given"));
}

void run_server(const TrafficArguments& arguments) {
  const Console console(arguments.json);
  const MvfstReceiver receiver(receiver_options(arguments));
  console.line("listening on " + arguments.host + " port " + std::to_string(receiver.port()));
  Ticker ticker(arguments);
  Duration last_time;
  ReceiverTotals last;
  if (arguments.interval > Duration::zero()) console.line(kServerHeader);
  while (interrupted == 0 && !ticker.over()) {
    if (ticker.due()) {
      const Duration time = ticker.elapsed();
      const ReceiverTotals now = receiver.totals();
      console.line(server_line(last_time, time, last, now));
      last_time = time;
      last = now;
    }
    std::this_thread::sleep_for(std::chrono::nanoseconds(ticker.pause().ns()));
  }
  console.summary(server_summary(arguments, receiver.port(), ticker.elapsed(), receiver.totals()));
}

int run(int argc, char** argv) {
  const TrafficArguments arguments = parse_traffic({argv + 1, argv + argc});
  note_signals();
  switch (arguments.mode) {
    case TrafficMode::kHelp:
      std::fputs(kTrafficHelp, stdout);
      break;
    case TrafficMode::kClient:
      run_client(arguments);
      break;
    case TrafficMode::kServer:
      run_server(arguments);
      break;
  }
  return 0;
}

}  // namespace
}  // namespace mvfstrl::tools

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_ERROR;  // mvfst warns of every socket that it opens
  const auto fail = [](const std::exception& error, int status) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return status;
  };
  try {
    return mvfstrl::tools::run(argc, argv);
  } catch (const mvfstrl::tools::UsageError& error) {
    return fail(error, 2);
  } catch (const mvfstrl::PolicyFileError& error) {
    return fail(error, 2);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
}
