#include "emulator/path_log.h"

#include <cinttypes>
#include <cstdio>
#include <utility>

#include "emulator/descriptor.h"

namespace mvfstrl {
namespace {

std::int64_t ms_of(TimePoint time) { return time.ns() / 1'000'000; }

}  // namespace

PathLog::PathLog(const std::string& file, const std::string& title, Offered offered)
    : file_(file), title_(title), buffer_(kBuffer), offered_(std::move(offered)) {
  out_.rdbuf()->pubsetbuf(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  out_.open(file, std::ios::binary | std::ios::trunc);
  if (!out_) throw_errno("cannot write " + file);
}

void PathLog::begin(std::int64_t unix_ms) {
  out_ << "# mvfst-rl emulator (" << title_ << ")\n"
       << "# init timestamp: " << unix_ms << "\n# base timestamp: 0\n";
}

void PathLog::write(const LinkEvent& event) {
  const std::int64_t ms = ms_of(event.at);
  offer_until(ms);
  switch (event.kind) {
    case LinkEvent::Kind::kArrival:
      return put(ms, '+', event.size_bytes);
    case LinkEvent::Kind::kDrop:
      return put(ms, 'd', event.packets, event.size_bytes);
    case LinkEvent::Kind::kDeparture:
      return put(ms, '-', event.size_bytes, ms - ms_of(event.entered));
  }
}

void PathLog::offer_until(std::int64_t ms) {
  for (; next_ms_ <= ms; ++next_ms_) {
    const ByteCount total = offered_.bytes(TimePoint::from_ms(next_ms_ + 1) - Duration::from_ns(1));
    if (total > logged_) put(next_ms_, '#', (total - logged_).value());
    logged_ = total;
  }
}

void PathLog::put(std::int64_t ms, char kind, std::int64_t first, std::int64_t second) {
  std::array<char, 80> line;
  const int size =
      second >= 0 ? std::snprintf(line.data(), line.size(), "%" PRId64 " %c %" PRId64 " %" PRId64 "\n", ms,
                                  kind, first, second)
                  : std::snprintf(line.data(), line.size(), "%" PRId64 " %c %" PRId64 "\n", ms, kind, first);
  out_.write(line.data(), size);
}

void PathLog::finish(TimePoint now) {
  offer_until(ms_of(now) - 1);
  out_.flush();
  if (!out_) throw_errno("cannot write " + file_);
}

}  // namespace mvfstrl
