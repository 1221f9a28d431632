#include "tools/traffic_arguments.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mvfstrl::tools {

const char* const kTrafficHelp =
    R"(mvfstrl-traffic: sends traffic over real mvfst, under any of our controllers or an exported policy

  mvfstrl-traffic --mode=server [--host ADDRESS] [--port N] [--certificate FILE --key FILE] ...
      Takes whatever clients send, and keeps nothing, until Ctrl-C or --duration-s.
  mvfstrl-traffic --mode=client --ca FILE|--insecure [--host ADDRESS] [--port N] ...
      Sends, until --duration-s, the end of a fixed transfer, or Ctrl-C.

  Both
      --host ADDRESS        an IPv4 or IPv6 address, no name (default: 127.0.0.1)
      --port N              a UDP port (default: 4433); a server takes a free one for 0 and says which
      --interval-s S        between lines of progress (default: 1); 0: none
      --duration-s S        how long (default: a client 10 s, but a fixed transfer until it is complete; a server
                            until Ctrl-C)
      --qlog FOLDER         leaves a qlog of each connection there; its two ends need folders of their own, as mvfst
                            calls both files by the connection
      --json                the summary as one JSON object on standard output; all else goes to standard error

  Server
      --certificate FILE    PEM, as the key is; without both, a certificate is made that --insecure clients take
      --key FILE

  Client: whom to trust, one of
      --ca FILE             servers that show a certificate that this one has signed: itself, where it is self-signed
                            (PEM; names are not compared)
      --insecure            any server

  Client: what is sent
      --traffic bulk        as much as the window admits (the default)
      --traffic fixed       a transfer of --bytes N (default: 1000000)
      --traffic on_off      bursts and pauses of --on-ms and --off-ms (means of exponential draws, default: 1000 both;
                            --regular: always just as long), at --rate-mbps while on (default 0: all that the window
                            admits)

  Client: how
      --congestion NAME     cubic (the default), newreno, copa, bbr, bbr3, vegas, ledbat, vivace, sprout, fixed (ten
                            packets) or random, which run in mvfst through an adapter; mvfst_newreno, mvfst_cubic,
                            mvfst_copa, mvfst_bbr and mvfst_bbr2 are mvfst's own
      --policy FILE         instead, the policy of a policy.mvfstrl
      --pacing auto         spread packets over time where the controller wants it (the default), always or never
      --gso                 bursts leave through one system call each (UDP segmentation offload)
      --patience-s S        with the handshake (default: 10)

  Client: beside a policy
      --fallback NAME       who takes over from a policy that misbehaves: one of our controllers (default: cubic)
      --max-latency-ms MS   a decision later than this is late (default: 100)
      --pinned-windows N    decisions at a bound of the window in a row that are too many (default: 100)
      --return-after N      healthy decisions in a row that bring the policy back (default: 20)
      --max-return-after N  most that are asked for after repeated fall-backs (default: 640)
      --no-guard            nobody takes over
      --job N               the scenario's index in training, for policies that are shown it (default: -1, not known)

  Exit status: 0; 1 for a connection that did not come up or was lost, or a server that cannot listen; 2 for a command
  line that makes no sense or a policy that cannot be used. The last line on standard error says what was wrong.
)";

namespace {

using Words = std::vector<std::string_view>;

std::string listed(const Words& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    text += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::size_t choice(std::string_view option, std::string_view text, const Words& known) {
  const auto found = std::ranges::find(known, text);
  if (found == known.end()) {
    throw UsageError(std::string(option) + ": must be " + listed(known) + ", got '" + std::string(text) +
                     "'");
  }
  return static_cast<std::size_t>(found - known.begin());
}

// The alternative of `Variant` that `names` calls `text`, with its defaults; never an agent's, whose answers
// nobody gives here.
template <class Variant, std::size_t N>
Variant named(std::string_view option, std::string_view text, const std::array<const char*, N>& names) {
  Words known;
  std::vector<Variant> values;
  [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
    const auto add = [&](std::size_t index, Variant value) {
      if (std::holds_alternative<ExternalConfig>(value)) return;
      known.push_back(names[index]);
      values.push_back(std::move(value));
    };
    (add(kIndex, Variant(std::in_place_index<kIndex>)), ...);
  }(std::make_index_sequence<N>());
  return values[choice(option, text, known)];
}

// What the program can keep up with; beyond it, it would be busy with its own clockwork for ever.
struct Bounds {
  double least, most;
  bool zero = false;  // means something of its own
};
constexpr Bounds kSeconds{0.001, 1e8}, kIntervalSeconds{0.01, 1e8, true};
constexpr Bounds kMilliseconds{0.001, 1e9}, kLatencyMilliseconds{1e-6, 1e9};
constexpr Bounds kMbps{0.001, 1e5, true};

std::string plainly(double value) {
  std::array<char, 32> digits{};
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  return {digits.data(), end.ptr};
}

double within(std::string_view option, std::string_view text, const Bounds& bounds) {
  const std::optional<double> value = parsed<double>(text);
  if (value && *value >= bounds.least && *value <= bounds.most) return *value;
  if (value && *value == 0 && bounds.zero) return *value;
  throw UsageError(std::string(option) + ": must be " + (bounds.zero ? "0, or " : "") + "a number from " +
                   plainly(bounds.least) + " to " + plainly(bounds.most) + ", got '" + std::string(text) +
                   "'");
}
Duration milliseconds(std::string_view option, std::string_view text, const Bounds& bounds = kMilliseconds) {
  return Duration::from_ms_f(within(option, text, bounds));
}
Duration seconds(std::string_view option, std::string_view text, const Bounds& bounds = kSeconds) {
  return Duration::from_ms_f(within(option, text, bounds) * 1e3);
}

std::uint16_t port(std::string_view option, std::string_view text) {
  const auto value = number<std::int32_t>(option, text, 0);
  if (value > 0xffff) {
    throw UsageError(std::string(option) + ": must be at most 65535, got '" + std::string(text) + "'");
  }
  return static_cast<std::uint16_t>(value);
}

std::string address(std::string_view option, std::string_view text) {
  std::string host(text);
  in6_addr room{};
  if (inet_pton(AF_INET, host.c_str(), &room) != 1 && inet_pton(AF_INET6, host.c_str(), &room) != 1) {
    throw UsageError(std::string(option) + ": must be an IPv4 or IPv6 address, got '" + host + "'");
  }
  return host;
}

// Reads one command line; what may stand beside what is checked at the end.
class Reader {
 public:
  TrafficArguments read(std::span<const char* const> words) {
    for (std::size_t i = 0; i < words.size(); ++i) i = take(words, i);
    if (!given("--mode")) throw UsageError("--mode: must be client or server; --help tells more");
    check_ends();
    to_.mode == TrafficMode::kClient ? finish_client() : finish_server();
    return to_;
  }

 private:
  struct Option {
    const char* scope;  // client, server or both
    std::function<void(std::string_view)> take;
    bool flag = false;
  };

  static std::map<std::string_view, Option> options_of(Reader& reader) {
    TrafficArguments& to = reader.to_;
    GuardConfig& guard = reader.guard_;
    using Text = std::string_view;
    const auto path_into = [](Text option, std::string& member) {
      return [option, &member](Text text) {
        if (text.empty()) throw UsageError(std::string(option) + ": names nothing");
        member = text;
      };
    };
    const auto count_into = [](Text option, std::int32_t& member) {
      return [option, &member](Text text) { member = number<std::int32_t>(option, text, 1); };
    };
    const auto nothing = [](Text) {};
    return {
        {"--mode",
         {"both",
          [&to](Text t) {
            to.mode =
                choice("--mode", t, {"client", "server"}) == 0 ? TrafficMode::kClient : TrafficMode::kServer;
          }}},
        {"--host", {"both", [&to](Text t) { to.host = address("--host", t); }}},
        {"--port", {"both", [&to](Text t) { to.port = port("--port", t); }}},
        {"--interval-s",
         {"both", [&to](Text t) { to.interval = seconds("--interval-s", t, kIntervalSeconds); }}},
        {"--duration-s", {"both", [&to](Text t) { to.duration = seconds("--duration-s", t); }}},
        {"--qlog", {"both", path_into("--qlog", to.qlog_folder)}},
        {"--json", {"both", [&to](Text) { to.json = true; }, true}},
        {"--certificate", {"server", path_into("--certificate", to.certificate_file)}},
        {"--key", {"server", path_into("--key", to.key_file)}},
        {"--ca", {"client", path_into("--ca", to.ca_file)}},
        {"--insecure", {"client", nothing, true}},
        {"--congestion",
         {"client", [&to](Text t) { to.scheme = named<SchemeConfig>("--congestion", t, kSchemeKinds); }}},
        {"--policy", {"client", path_into("--policy", to.policy_file)}},
        {"--fallback",
         {"client",
          [&guard](Text t) { guard.fallback = named<ControllerConfig>("--fallback", t, kControllerNames); }}},
        {"--max-latency-ms",
         {"client",
          [&guard](Text t) {
            guard.max_latency = milliseconds("--max-latency-ms", t, kLatencyMilliseconds);
          }}},
        {"--pinned-windows", {"client", count_into("--pinned-windows", guard.pinned_windows)}},
        {"--return-after", {"client", count_into("--return-after", guard.return_after)}},
        {"--max-return-after", {"client", count_into("--max-return-after", guard.max_return_after)}},
        {"--no-guard", {"client", nothing, true}},
        {"--job", {"client", [&to](Text t) { to.job = number<std::int32_t>("--job", t, -1); }}},
        {"--traffic",
         {"client",
          [&reader](Text t) { reader.traffic_ = choice("--traffic", t, {"bulk", "fixed", "on_off"}); }}},
        {"--bytes",
         {"client",
          [&reader](Text t) { reader.transfer_.bytes = ByteCount(number<std::int64_t>("--bytes", t, 1)); }}},
        {"--on-ms", {"client", [&reader](Text t) { reader.bursts_.on = milliseconds("--on-ms", t); }}},
        {"--off-ms", {"client", [&reader](Text t) { reader.bursts_.off = milliseconds("--off-ms", t); }}},
        {"--rate-mbps",
         {"client",
          [&reader](Text t) {
            reader.bursts_.rate = Bandwidth::from_mbps(within("--rate-mbps", t, kMbps));
          }}},
        {"--regular", {"client", [&reader](Text) { reader.bursts_.exponential = false; }, true}},
        {"--pacing",
         {"client",
          [&to](Text t) {
            constexpr std::array kPacings{Pacing::kAuto, Pacing::kAlways, Pacing::kNever};
            to.pacing = kPacings[choice("--pacing", t, {"auto", "always", "never"})];
          }}},
        {"--gso", {"client", [&to](Text) { to.segmentation_offload = true; }, true}},
        {"--patience-s", {"client", [&to](Text t) { to.patience = seconds("--patience-s", t); }}},
    };
  }

  // Returns the index of the last word that it took: --option VALUE, or --option=VALUE.
  std::size_t take(std::span<const char* const> words, std::size_t at) {
    const std::string_view word = words[at];
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto found = options_.find(name);
    if (found == options_.end()) {
      throw UsageError("no option '" + std::string(name) + "'; --help tells those there are");
    }
    const Option& option = found->second;
    if (!given_.insert(found->first).second) throw UsageError(std::string(name) + ": given twice");
    if (option.flag) {
      if (equals != std::string_view::npos) throw UsageError(std::string(name) + ": takes no value");
      option.take({});
      return at;
    }
    if (equals != std::string_view::npos) {
      option.take(word.substr(equals + 1));
      return at;
    }
    if (at + 1 == words.size()) throw UsageError(std::string(name) + ": needs a value");
    option.take(words[at + 1]);
    return at + 1;
  }

  bool given(std::string_view name) const { return given_.contains(name); }

  // Each needs `what`, which is not there.
  void refuse(const Words& options, const char* what) const {
    for (const std::string_view option : options) {
      if (given(option)) throw UsageError(std::string(option) + ": belongs to " + what);
    }
  }
  void check_ends() const {
    const std::string_view mode = to_.mode == TrafficMode::kClient ? "client" : "server";
    for (const std::string_view name : given_) {
      const std::string_view scope = options_.at(name).scope;
      if (scope != "both" && scope != mode) {
        throw UsageError(std::string(name) + ": belongs to --mode=" + std::string(scope));
      }
    }
  }

  void finish_server() const {
    if (to_.certificate_file.empty() != to_.key_file.empty()) {
      throw UsageError(to_.key_file.empty() ? "--certificate: needs its --key"
                                            : "--key: needs its --certificate");
    }
  }
  void finish_client() {
    if (to_.port == 0) throw UsageError("--port: a client needs the server's");
    if (to_.ca_file.empty() != given("--insecure")) {
      throw UsageError(given("--insecure")
                           ? "--insecure: trusts any server, which makes --ca mean nothing; leave one out"
                           : "--ca: name the certificate to trust, or trust any server with --insecure");
    }
    finish_policy();
    finish_traffic();
    if (!to_.duration && traffic_ != 1) to_.duration = Duration::from_ms(10'000);
  }
  void finish_policy() {
    const Words tuning{"--fallback", "--max-latency-ms", "--pinned-windows", "--return-after",
                       "--max-return-after"};
    if (to_.policy_file.empty()) {
      refuse(tuning, "--policy FILE");
      refuse({"--no-guard", "--job"}, "--policy FILE");
      return;
    }
    if (given("--congestion")) throw UsageError("--congestion: --policy drives; leave one of the two out");
    if (given("--no-guard")) {
      refuse(tuning, "a guard; leave out --no-guard");
      return;
    }
    if (const auto problem = guard_.problem()) {
      throw UsageError("--" + dashed(problem->field) + ": " + problem->requirement);
    }
    to_.guard = guard_;
  }
  static std::string dashed(std::string field) {
    std::ranges::replace(field, '_', '-');
    return field;
  }
  void finish_traffic() {
    const Words bursts{"--on-ms", "--off-ms", "--rate-mbps", "--regular"};
    if (traffic_ != 1) refuse({"--bytes"}, "--traffic fixed");
    if (traffic_ != 2) refuse(bursts, "--traffic on_off");
    if (traffic_ == 1) to_.traffic = transfer_;
    if (traffic_ == 2) to_.traffic = bursts_;
  }

  TrafficArguments to_;
  GuardConfig guard_;
  FixedSizeApp transfer_;
  OnOffApp bursts_;
  std::size_t traffic_ = 0;
  std::map<std::string_view, Option> options_ = options_of(*this);
  std::set<std::string_view> given_;
};

}  // namespace

TrafficArguments parse_traffic(std::span<const char* const> arguments) {
  const auto asks_for_help = [](std::string_view text) { return text == "--help" || text == "-h"; };
  if (std::ranges::any_of(arguments, asks_for_help)) return {};
  return Reader().read(arguments);
}

}  // namespace mvfstrl::tools
