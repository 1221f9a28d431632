#include "tools/traffic_report.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <utility>
#include <variant>

#include "environment/hosted_session.h"

namespace mvfstrl::tools {

const char* const kClientHeader = "  interval s        MB acked   Mbit/s   window kB   srtt ms     lost";
const char* const kServerHeader = "  interval s     MB received   Mbit/s   open   connections";

namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  std::array<char, 256> text{};
  std::va_list values;
  va_start(values, pattern);
  std::vsnprintf(text.data(), text.size(), pattern, values);
  va_end(values);
  return text.data();
}

double megabytes(ByteCount bytes) { return static_cast<double>(bytes.value()) / 1e6; }
double rate(ByteCount bytes, Duration time) {
  return time > Duration::zero() ? Bandwidth::from_bytes_over(bytes, time).to_mbps() : 0.0;
}

std::string json_text(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') quoted += '\\';
    if (static_cast<unsigned char>(letter) < 0x20) {
      quoted += format("\\u%04x", static_cast<unsigned>(letter));
    } else {
      quoted += letter;
    }
  }
  return quoted + '"';
}

struct Json {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const {
    if (!std::isfinite(value)) return "null";
    std::array<char, 32> digits{};
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
  }
  std::string operator()(const std::string& value) const { return json_text(value); }
  std::string operator()(const Value::List& list) const {
    std::string text = "[";
    for (const Value& value : list) text += (text.size() > 1 ? ", " : "") + to_json(value);
    return text + "]";
  }
  std::string operator()(const Value::Map& map) const {
    std::string text = "{";
    for (const auto& [key, value] : map) {
      text += (text.size() > 1 ? ", " : "") + json_text(key) + ": " + to_json(value);
    }
    return text + "}";
  }
};

double real(const Value& summary, const char* key) {
  const Value* value = summary.find(key);
  if (value == nullptr) return 0;
  if (const auto* number = value->as<double>()) return *number;
  if (const auto* count = value->as<std::int64_t>()) return static_cast<double>(*count);
  return 0;
}
long long whole(const Value& summary, const char* key) { return std::llround(real(summary, key)); }
std::string text_of(const Value& summary, const char* key) {
  const Value* value = summary.find(key);
  const auto* text = value != nullptr ? value->as<std::string>() : nullptr;
  return text != nullptr ? *text : "";
}

std::string guard_told(const Value& guard) {
  std::string text = "guard         fall-backs";
  const Value* fallbacks = guard.find("fallbacks");
  if (const auto* reasons = fallbacks != nullptr ? fallbacks->as<Value::Map>() : nullptr) {
    for (const auto& [reason, count] : *reasons) text += " " + reason + " " + count.describe();
  }
  return text + format("; %lld returns, %.1f %% of the time in the fall-back's hands\n",
                       whole(guard, "returns"), 100 * real(guard, "fallback_share"));
}

std::string client_told(const Value& of) {
  std::string text = "\n";
  const std::string policy = text_of(of, "policy");
  text += "driven by     " + (policy.empty() ? text_of(of, "scheme") : policy) + "\n";
  text += format("throughput    %.3f Mbit/s: %.3f MB acknowledged in %.3f s\n", real(of, "goodput_mbps"),
                 real(of, "acked_bytes") / 1e6, real(of, "length_ms") / 1e3);
  text += format("rtt           %.3f ms smoothed, %.3f ms at least\n", real(of, "rtt_smoothed_ms"),
                 real(of, "rtt_min_ms"));
  text +=
      format("losses        %lld of %lld packets (%.4f %%), %lld probe timeouts\n", whole(of, "lost_packets"),
             whole(of, "sent_packets"), 100 * real(of, "loss"), whole(of, "probe_timeouts"));
  text += format("window        %.3f kB at the end\n", real(of, "congestion_window_bytes") / 1e3);
  text += format("observations  %lld windows, %lld of them skipped; return %.4f\n", whole(of, "windows"),
                 whole(of, "skipped_observations"), real(of, "return"));
  if (real(of, "decisions") > 0) {
    text += format(
        "decisions     %lld; %.1f us after their windows at the median, %.1f us at the 99th percentile;\n"
        "              the policy took %.1f us of it, and %.1f us\n",
        whole(of, "decisions"), real(of, "decision_latency_p50_us"), real(of, "decision_latency_p99_us"),
        real(of, "deciding_p50_us"), real(of, "deciding_p99_us"));
  }
  if (const Value* guard = of.find("guard")) text += guard_told(*guard);
  return text + "ended         " + text_of(of, "ended") + "\n";
}

}  // namespace

std::string client_line(const SenderProgress& before, const SenderProgress& after) {
  const ByteCount bytes = after.bytes_acked - before.bytes_acked;
  return format("%7.2f-%-7.2f %12.3f %8.2f %11.1f %9.2f %8llu", before.time.to_ms() / 1e3,
                after.time.to_ms() / 1e3, megabytes(bytes), rate(bytes, after.time - before.time),
                static_cast<double>(after.congestion_window.value()) / 1e3, after.smoothed_rtt.to_ms(),
                static_cast<unsigned long long>(after.packets_lost - before.packets_lost));
}

std::string server_line(Duration from, Duration to, const ReceiverTotals& before,
                        const ReceiverTotals& after) {
  const ByteCount bytes = after.received - before.received;
  return format("%7.2f-%-7.2f %12.3f %8.2f %6llu %13llu", from.to_ms() / 1e3, to.to_ms() / 1e3,
                megabytes(bytes), rate(bytes, to - from), static_cast<unsigned long long>(after.open),
                static_cast<unsigned long long>(after.connections));
}

Value client_summary(const TrafficArguments& arguments, const Session& session, const FlowConfig& flow,
                     TimePoint now, const Percentiles& decisions, const Percentiles& lateness,
                     const std::string& ended) {
  const Value report = session_report(session, flow, 0, now);
  Value::Map summary{{"mode", "client"}, {"host", arguments.host}, {"port", std::int64_t{arguments.port}}};
  if (!arguments.policy_file.empty()) summary.emplace_back("policy", arguments.policy_file);
  for (const auto& entry : *report.as<Value::Map>()) {
    if (entry.first != "flow") summary.push_back(entry);
  }
  const auto microseconds = [](Duration time) { return time.to_ms() * 1e3; };
  const DelayHistogram& latency = session.latency();
  summary.emplace_back("windows", session.account().steps() + session.account().skipped());
  summary.emplace_back("decisions", static_cast<std::int64_t>(latency.count()));
  summary.emplace_back("decision_latency_p50_us", microseconds(latency.percentile(0.50)));
  summary.emplace_back("decision_latency_p99_us", microseconds(latency.percentile(0.99)));
  summary.emplace_back("deciding_p50_us", microseconds(decisions.p50));
  summary.emplace_back("deciding_p99_us", microseconds(decisions.p99));
  summary.emplace_back("deciding_max_us", microseconds(decisions.max));
  summary.emplace_back("late_p50_us", microseconds(lateness.p50));
  summary.emplace_back("late_p99_us", microseconds(lateness.p99));
  summary.emplace_back("late_max_us", microseconds(lateness.max));
  summary.emplace_back("ended", ended);
  return Value(std::move(summary));
}

Value server_summary(const TrafficArguments& arguments, std::uint16_t port, Duration time,
                     const ReceiverTotals& totals) {
  return Value(Value::Map{{"mode", "server"},
                          {"host", arguments.host},
                          {"port", std::int64_t{port}},
                          {"length_ms", time.to_ms()},
                          {"connections", static_cast<std::int64_t>(totals.connections)},
                          {"open", static_cast<std::int64_t>(totals.open)},
                          {"received_bytes", totals.received.value()},
                          {"throughput_mbps", rate(totals.received, time)}});
}

std::string told(const Value& summary) {
  if (text_of(summary, "mode") == "client") return client_told(summary);
  return format("\nreceived      %.3f MB in %.3f s (%.3f Mbit/s) over %lld connections\n",
                real(summary, "received_bytes") / 1e6, real(summary, "length_ms") / 1e3,
                real(summary, "throughput_mbps"), whole(summary, "connections"));
}

std::string to_json(const Value& value) { return std::visit(Json{}, value.data()); }

}  // namespace mvfstrl::tools
