// An mvfst server whose connections an exported policy drives: it greets every client with ten megabytes.
//
//     policy_server policy.mvfstrl 4433
#include <folly/io/IOBuf.h>
#include <mvfst/factory.h>
#include <mvfst/tls.h>
#include <quic/server/QuicServer.h>

#include <cstdio>
#include <cstdlib>

// What any server of mvfst's has: a callback a connection...
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

int main(int count, char** words) try {
  if (count != 3) return std::fputs("usage: policy_server POLICY PORT\n", stderr), 2;
  const auto server = quic::QuicServer::createQuicServer(quic::TransportSettings{});
  server->setQuicServerTransportFactory(std::make_unique<Greetings>());
  server->setFizzContext(mvfstrl::server_context("", ""));  // a certificate made now: use your own
  // The line that matters. A GuardConfig says who takes over when the policy misbehaves; CUBIC does unless
  // told.
  server->setCongestionControllerFactory(mvfstrl::make_policy_factory(words[1]));
  server->start(quic::SocketAddress("127.0.0.1", static_cast<std::uint16_t>(std::atoi(words[2]))), 1);
  server->waitUntilInitialized();
  std::printf("listening on port %d\n", static_cast<int>(server->getAddress().getPort()));
  std::fflush(stdout);
  std::getchar();  // until its input ends
  server->shutdown();
} catch (const std::exception& error) {
  return std::fprintf(stderr, "error: %s\n", error.what()), 1;
}
