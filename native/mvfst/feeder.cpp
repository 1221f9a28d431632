#include "mvfst/feeder.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "common/rng.h"
#include "mvfst/sender.h"

namespace mvfstrl {
namespace {

constexpr ByteCount kAhead{64 * 1024};  // lies ready beyond the window

ByteCount bytes_of(std::uint64_t value) { return ByteCount(static_cast<std::int64_t>(value)); }

}  // namespace

StreamFeeder::StreamFeeder(const AppConfig& traffic, ByteCount packet_size, folly::EventBase* loop,
                           std::function<void()> on_timer, quic::ByteEventCallback* delivered)
    : folly::AsyncTimeout(loop),
      application_(traffic, packet_size, TimePoint::zero(), Rng()),
      on_timer_(std::move(on_timer)),
      delivered_(delivered),
      block_(folly::IOBuf::create(static_cast<std::size_t>(kAhead.value()))) {
  block_->append(static_cast<std::size_t>(kAhead.value()));
  std::fill_n(block_->writableData(), kAhead.value(), std::uint8_t{0});
}

void StreamFeeder::start(quic::QuicSocket& transport, TimePoint now) {
  const auto stream = transport.createUnidirectionalStream();
  if (!stream.has_value()) throw ConnectionError("no stream: " + quic::toString(stream.error()));
  transport_ = &transport;
  stream_ = *stream;
  start_ = now;
}

void StreamFeeder::top_up(ByteCount window, TimePoint now) {
  const TimePoint application_now = TimePoint::zero() + (now - start_);
  application_.advance(application_now);
  const auto buffered = transport_->getStreamWriteBufferedBytes(stream_);
  if (!buffered.has_value()) return;
  ByteCount room = window + kAhead - bytes_of(*buffered);
  if (!application_.unlimited()) room = std::min(room, application_.available());
  while (room > ByteCount::zero()) {
    const ByteCount part = std::min(room, kAhead);
    room -= part;
    application_.take(part);
    write(part, application_.exhausted());
  }
  const TimePoint next = application_.next_event();
  if (next.is_never()) return;
  const std::int64_t wait_ns = std::max(next - application_now, Duration::zero()).ns();
  scheduleTimeoutHighRes(std::chrono::microseconds((wait_ns + 999) / 1000));
}

void StreamFeeder::write(ByteCount bytes, bool last) {
  auto data = block_->clone();
  data->trimEnd(static_cast<std::size_t>((kAhead - bytes).value()));
  const auto result = transport_->writeChain(stream_, std::move(data), last, last ? delivered_ : nullptr);
  if (!result.has_value()) {
    throw ConnectionError("the stream takes no more: " + quic::toString(result.error()));
  }
}

}  // namespace mvfstrl
