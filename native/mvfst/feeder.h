// Keeps a stream filled with what its application has to send.
#pragma once

#include <folly/io/IOBuf.h>
#include <folly/io/async/AsyncTimeout.h>
#include <quic/api/QuicSocket.h>

#include <functional>
#include <memory>

#include "common/units.h"
#include "traffic/application.h"

namespace mvfstrl {

// Lives on its connection's event loop.
class StreamFeeder final : private folly::AsyncTimeout {
 public:
  // `on_timer`: the application has something again; top_up() then. `delivered` is told when the last byte of
  // a transfer has been acknowledged. Throws std::invalid_argument naming the bad field.
  StreamFeeder(const AppConfig& traffic, ByteCount packet_size, folly::EventBase* loop,
               std::function<void()> on_timer, quic::ByteEventCallback* delivered);

  // The application begins at `now`. Throws ConnectionError (mvfst/sender.h) where there is no stream.
  void start(quic::QuicSocket& transport, TimePoint now);
  // Puts more into the stream than a window can take, and no more: what lies there is sent even if the
  // application falls silent. Throws ConnectionError where the stream takes nothing.
  void top_up(ByteCount window, TimePoint now);
  bool started() const { return transport_ != nullptr; }

 private:
  void timeoutExpired() noexcept override { on_timer_(); }
  void write(ByteCount bytes, bool last);

  Application application_;
  std::function<void()> on_timer_;
  quic::ByteEventCallback* delivered_;
  std::unique_ptr<folly::IOBuf> block_;
  quic::QuicSocket* transport_ = nullptr;
  quic::StreamId stream_ = 0;
  TimePoint start_;
};

}  // namespace mvfstrl
