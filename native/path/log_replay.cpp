#include "path/log_replay.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "path/direction.h"

namespace mvfstrl {
namespace {

enum class Kind : std::uint8_t { kComment, kArrival, kDrop, kDeparture, kOpportunity };

struct Record {
  Kind kind = Kind::kComment;
  std::int64_t time_ms = 0;
  std::array<std::int64_t, 2> values{};  // size; then a departure's delay, or a drop's (packets, bytes)
};

// Above every time, size and count of a sound log; keeps nanoseconds within 64 bits.
constexpr std::int64_t kLargestNumber = 4'000'000'000;
constexpr std::string_view kBasePrefix = "# base timestamp:";

bool read_number(std::string_view& text, std::int64_t& value) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || value > kLargestNumber) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// Splits the log into lines and these into records.
class Reader {
 public:
  Reader(std::string_view log, const std::string& name) : rest_(log), name_(name) {}

  bool next(Record& record) {
    if (rest_.empty()) return false;
    ++line_;
    const std::size_t length = std::min(rest_.find('\n'), rest_.size());
    const std::string_view text = rest_.substr(0, length);
    rest_.remove_prefix(std::min(length + 1, rest_.size()));
    record = parse(text);
    return true;
  }
  std::int64_t line() const { return line_; }
  std::int64_t base_ms() const {
    if (!base_ms_) refuse("no '# base timestamp:' line before the first event");
    return *base_ms_;
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const {
    throw std::invalid_argument(name_ + ":" + std::to_string(line_) + ": " + reason);
  }

  Record parse(std::string_view text) {
    if (text.starts_with('#')) {
      parse_comment(text);
      return {};
    }
    Record record;
    std::string_view rest = text;
    if (!read_number(rest, record.time_ms) || rest.size() < 3 || rest[0] != ' ' || rest[2] != ' ')
      reject(text);
    const char symbol = rest[1];
    rest.remove_prefix(2);
    switch (symbol) {
      case '+':
        record.kind = Kind::kArrival;
        break;
      case '-':
        record.kind = Kind::kDeparture;
        break;
      case 'd':
        record.kind = Kind::kDrop;
        break;
      case '#':
        record.kind = Kind::kOpportunity;
        break;
      default:
        reject(text);
    }
    const bool two = record.kind == Kind::kDeparture || record.kind == Kind::kDrop;
    if (!read_number(rest, record.values[0]) || (two && !read_number(rest, record.values[1])) ||
        !rest.empty()) {
      reject(text);
    }
    if (record.time_ms < std::max(latest_ms_, base_ms())) refuse("time goes backwards");
    latest_ms_ = record.time_ms;
    return record;
  }

  [[noreturn]] void reject(std::string_view text) const {
    refuse("not a line of a mahimahi link log: " + std::string(text.substr(0, 80)));
  }

  void parse_comment(std::string_view text) {
    if (!text.starts_with(kBasePrefix)) return;
    std::int64_t base_ms = 0;
    text.remove_prefix(kBasePrefix.size());
    if (!read_number(text, base_ms)) refuse("'# base timestamp:' without a number");
    base_ms_ = base_ms;
  }

  std::string_view rest_;
  const std::string& name_;
  std::int64_t line_ = 0;
  std::int64_t latest_ms_ = 0;
  std::optional<std::int64_t> base_ms_;
};

std::string describe_departure(std::int64_t time_ms, std::int64_t size, std::int64_t delay_ms) {
  return "departure at " + std::to_string(time_ms) + " ms, " + std::to_string(size) + " bytes, delay " +
         std::to_string(delay_ms) + " ms";
}

std::string describe_drop(std::int64_t time_ms, std::int64_t packets, std::int64_t bytes) {
  return "drop at " + std::to_string(time_ms) + " ms of " + std::to_string(packets) + " packet(s), " +
         std::to_string(bytes) + " bytes";
}

class Replay {
 public:
  Replay(std::string_view log, const std::string& name, const TraceRate& link, const QueueConfig& queue)
      : reader_(log, name),
        direction_({.rate = link, .queue = queue, .delay = Duration::zero(), .loss = 0},
                   Direction::Order::kLinkLossDelay, Rng()) {}

  ReplayReport run() {
    Record record;
    while (!report_.mismatch && reader_.next(record)) {
      if (record.kind != Kind::kComment) handle(record);
    }
    if (!report_.mismatch) finish();
    return report_;
  }

 private:
  void handle(const Record& record) {
    if (dropped_ && record.kind != Kind::kDrop) {
      differ("no drop", describe_own_drop());
      return;
    }
    latest_ms_ = record.time_ms;
    switch (record.kind) {
      case Kind::kArrival:
        arrival(record);
        break;
      case Kind::kDrop:
        drop(record);
        break;
      case Kind::kDeparture:
        departure(record);
        break;
      case Kind::kOpportunity:
      case Kind::kComment:
        break;
    }
  }

  void arrival(const Record& record) {
    if (unexpected_departure("no departure before the arrival at " + std::to_string(record.time_ms) +
                             " ms")) {
      return;
    }
    ++report_.arrivals;
    Packet packet;
    packet.size_bytes = static_cast<std::uint32_t>(record.values[0]);
    if (!direction_.enter(now(record.time_ms), packet)) dropped_ = packet.size_bytes;
  }

  void drop(const Record& record) {
    const auto [packets, bytes] = record.values;
    if (!dropped_) {
      differ(describe_drop(record.time_ms, packets, bytes), "no drop");
    } else if (packets != 1 || bytes != *dropped_) {
      differ(describe_drop(record.time_ms, packets, bytes), describe_own_drop());
    } else {
      ++report_.drops;
      dropped_.reset();
    }
  }

  void departure(const Record& record) {
    const auto [size, delay_ms] = record.values;
    const std::string_view none = "no departure";
    Packet packet;
    if (!direction_.advance(now(record.time_ms), packet)) {
      differ(describe_departure(record.time_ms, size, delay_ms), std::string(none));
      return;
    }
    const std::int64_t left_ms = log_ms(packet.left);
    const std::int64_t own_delay_ms = left_ms - log_ms(packet.entered);
    if (left_ms != record.time_ms || packet.size_bytes != size || own_delay_ms != delay_ms) {
      differ(describe_departure(record.time_ms, size, delay_ms),
             describe_departure(left_ms, packet.size_bytes, own_delay_ms));
      return;
    }
    ++report_.departures;
  }

  void finish() {
    if (dropped_) {
      differ("the end of the log", describe_own_drop());
      return;
    }
    unexpected_departure("the end of the log");
  }

  // Whether the path has sent a packet by now that the log has not.
  bool unexpected_departure(const std::string& expected) {
    Packet packet;
    if (!direction_.advance(now(latest_ms_), packet)) return false;
    const std::int64_t left_ms = log_ms(packet.left);
    differ(expected, describe_departure(left_ms, packet.size_bytes, left_ms - log_ms(packet.entered)));
    return true;
  }

  std::string describe_own_drop() const { return describe_drop(latest_ms_, 1, *dropped_); }

  void differ(std::string expected, std::string got) {
    report_.mismatch = ReplayMismatch{reader_.line(), std::move(expected), std::move(got)};
  }

  TimePoint now(std::int64_t log_time_ms) const {
    return TimePoint::from_ms(log_time_ms - reader_.base_ms());
  }
  std::int64_t log_ms(TimePoint time) const { return time.ns() / 1'000'000 + reader_.base_ms(); }

  Reader reader_;
  Direction direction_;
  ReplayReport report_;
  std::int64_t latest_ms_ = 0;
  std::optional<std::int64_t> dropped_;  // bytes of the arrival that the path just dropped
};

}  // namespace

ReplayReport replay_log(std::string_view log, const std::string& name, const TraceRate& link,
                        const QueueConfig& queue) {
  return Replay(log, name, link, queue).run();
}

}  // namespace mvfstrl
