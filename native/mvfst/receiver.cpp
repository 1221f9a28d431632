#include "mvfst/receiver.h"

#include <quic/api/QuicSocket.h>
#include <quic/logging/FileQLogger.h>
#include <quic/server/QuicServer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "mvfst/address.h"
#include "mvfst/event_loop.h"
#include "mvfst/sender.h"
#include "mvfst/settings.h"
#include "mvfst/tls.h"

namespace mvfstrl {
namespace {

// Of mvfst's timers for ACKs (kDefaultTimerTick of its clients): a server's own loop has 10 ms, and the real
// runs that virtual time mirrors had a client for a receiver.
constexpr std::chrono::milliseconds kTick{1};
constexpr int kSocketBuffer = 4 << 20;  // bytes asked for; the system may grant fewer

struct Totals {
  std::atomic<std::uint64_t> connections{0}, open{0};
  std::atomic<std::int64_t> received{0};
};

// One connection: reads and forgets.
class Sink final : public quic::QuicSocket::ConnectionSetupCallback,
                   public quic::QuicSocket::ConnectionCallback,
                   public quic::QuicSocket::ReadCallback {
 public:
  explicit Sink(Totals& totals) : totals_(totals) {
    ++totals_.connections;
    ++totals_.open;
  }
  ~Sink() override { over(); }

  void set_socket(std::shared_ptr<quic::QuicServerTransport> socket) { socket_ = std::move(socket); }
  bool is_over() const { return over_; }
  void close() {
    if (const auto socket = std::exchange(socket_, nullptr)) socket->closeNow(std::nullopt);
  }

  void onNewUnidirectionalStream(quic::StreamId id) noexcept override {
    (void)socket_->setReadCallback(id, this);
  }
  void onNewBidirectionalStream(quic::StreamId id) noexcept override {
    (void)socket_->setReadCallback(id, this);
  }
  void onStopSending(quic::StreamId, quic::ApplicationErrorCode) noexcept override {}
  void onConnectionEnd() noexcept override { over(); }
  void onConnectionError(quic::QuicError) noexcept override { over(); }
  void onConnectionSetupError(quic::QuicError) noexcept override { over(); }
  void readError(quic::StreamId, quic::QuicError) noexcept override {}
  void readAvailable(quic::StreamId id) noexcept override {
    const auto read = socket_->read(id, 0);
    if (read.has_value() && read->first != nullptr) {
      totals_.received += static_cast<std::int64_t>(read->first->computeChainDataLength());
    }
  }

 private:
  void over() {
    if (!std::exchange(over_, true)) --totals_.open;
    socket_ = nullptr;
  }

  Totals& totals_;
  std::shared_ptr<quic::QuicServerTransport> socket_;
  bool over_ = false;
};

// Listens, and is given away as a copy.
class BoundSocket {
 public:
  explicit BoundSocket(const quic::SocketAddress& address)
      : descriptor_(::socket(address.getFamily(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_storage storage{};
    const socklen_t size = address.getAddress(&storage);
    const int wanted = kSocketBuffer;
    if (descriptor_ >= 0) ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(wanted));
    if (descriptor_ >= 0 && ::bind(descriptor_, reinterpret_cast<sockaddr*>(&storage), size) == 0) return;
    const std::string why = std::generic_category().message(errno);
    if (descriptor_ >= 0) ::close(descriptor_);
    throw ConnectionError("cannot listen on " + address.describe() + ": " + why);
  }
  BoundSocket(const BoundSocket&) = delete;
  BoundSocket& operator=(const BoundSocket&) = delete;
  ~BoundSocket() { ::close(descriptor_); }

  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

class SinkFactory final : public quic::QuicServerTransportFactory {
 public:
  SinkFactory(Totals& totals, std::string qlog_folder)
      : totals_(totals), qlog_folder_(std::move(qlog_folder)) {}

  quic::QuicServerTransport::Ptr make(
      folly::EventBase* loop, std::unique_ptr<folly::AsyncUDPSocket> socket, const quic::SocketAddress&,
      quic::QuicVersion, std::shared_ptr<const fizz::server::FizzServerContext> context) noexcept override {
    std::erase_if(sinks_, [](const auto& sink) { return sink->is_over(); });
    auto sink = std::make_unique<Sink>(totals_);
    auto transport =
        quic::QuicServerTransport::make(loop, std::move(socket), sink.get(), sink.get(), std::move(context));
    if (!qlog_folder_.empty()) {
      transport->setQLogger(std::make_shared<quic::FileQLogger>(
          quic::VantagePoint::Server, quic::kHTTP3ProtocolType, qlog_folder_, false, true));
    }
    sink->set_socket(transport);
    sinks_.push_back(std::move(sink));
    return transport;
  }
  // On the loop, before it goes.
  void close() {
    for (const auto& sink : sinks_) sink->close();
    sinks_.clear();
  }

 private:
  Totals& totals_;
  std::string qlog_folder_;
  std::vector<std::unique_ptr<Sink>> sinks_;
};

}  // namespace

class MvfstReceiver::Server {
 public:
  explicit Server(const ReceiverOptions& options) : loop_("mvfstrl-receiver", kTick) {
    const auto context = server_context(options.certificate_file, options.key_file);
    server_ = quic::QuicServer::createQuicServer(common_settings());
    auto factory = std::make_unique<SinkFactory>(totals_, options.qlog_folder);
    factory_ = factory.get();
    server_->setQuicServerTransportFactory(std::move(factory));
    server_->setFizzContext(context);
    const quic::SocketAddress address = numeric_address(options.host, options.port);
    const BoundSocket socket(address);  // mvfst would end the process where it cannot bind
    server_->setListeningFDs({socket.descriptor()});
    server_->initialize(address, {&loop_.base()}, true);
    server_->start();
    server_->waitUntilInitialized();
    port_ = server_->getAddress().getPort();
  }
  ~Server() { stop(); }

  std::uint16_t port() const { return port_; }
  ReceiverTotals totals() const { return {totals_.connections, totals_.open, ByteCount(totals_.received)}; }

 private:
  void stop() {
    if (server_ == nullptr) return;
    loop_.run([this] { factory_->close(); });
    server_->shutdown();
    server_ = nullptr;
  }

  Totals totals_;
  EventLoop loop_;
  std::shared_ptr<quic::QuicServer> server_;
  SinkFactory* factory_ = nullptr;  // the server's
  std::uint16_t port_ = 0;
};

MvfstReceiver::MvfstReceiver(const ReceiverOptions& options) : server_(std::make_unique<Server>(options)) {}
MvfstReceiver::~MvfstReceiver() = default;
std::uint16_t MvfstReceiver::port() const { return server_->port(); }
ReceiverTotals MvfstReceiver::totals() const { return server_->totals(); }

}  // namespace mvfstrl
