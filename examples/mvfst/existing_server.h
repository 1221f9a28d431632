// A server of mvfst's as you may have one: it greets every client with ten megabytes. Nothing here knows of
// policies.
#pragma once

#include <folly/io/IOBuf.h>
#include <quic/server/QuicServer.h>

#include <memory>
#include <utility>
#include <vector>

// A connection's callbacks...
struct Greeting : quic::QuicSocket::ConnectionSetupCallback, quic::QuicSocket::ConnectionCallback {
  quic::QuicServerTransport::Ptr socket;
  void onTransportReady() noexcept override {
    const auto stream = socket->createUnidirectionalStream();
    auto data = folly::IOBuf::create(10'000'000);
    data->append(10'000'000);
    if (stream.has_value()) (void)socket->writeChain(*stream, std::move(data), true);
  }
  void over() { socket = nullptr; }
  void onConnectionEnd() noexcept override { over(); }
  void onConnectionError(quic::QuicError) noexcept override { over(); }
  void onConnectionSetupError(quic::QuicError) noexcept override { over(); }
  void onNewBidirectionalStream(quic::StreamId) noexcept override {}
  void onNewUnidirectionalStream(quic::StreamId) noexcept override {}
  void onStopSending(quic::StreamId, quic::ApplicationErrorCode) noexcept override {}
};

// ...and a factory of them.
struct Greetings : quic::QuicServerTransportFactory {
  std::vector<std::unique_ptr<Greeting>> all;
  quic::QuicServerTransport::Ptr make(
      folly::EventBase* loop, std::unique_ptr<folly::AsyncUDPSocket> udp, const quic::SocketAddress&,
      quic::QuicVersion, std::shared_ptr<const fizz::server::FizzServerContext> tls) noexcept override {
    Greeting& greeting = *all.emplace_back(std::make_unique<Greeting>());
    return greeting.socket = quic::QuicServerTransport::make(loop, std::move(udp), &greeting, &greeting, tls);
  }
};
