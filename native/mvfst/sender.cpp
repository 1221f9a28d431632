#include "mvfst/sender.h"

#include <quic/client/QuicClientTransport.h>
#include <quic/common/events/FollyQuicEventBase.h>
#include <quic/common/events/HighResQuicTimer.h>
#include <quic/common/udpsocket/FollyQuicAsyncUDPSocket.h>
#include <quic/congestion_control/ServerCongestionControllerFactory.h>
#include <quic/logging/FileQLogger.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "mvfst/address.h"
#include "mvfst/controller.h"
#include "mvfst/event_loop.h"
#include "mvfst/feeder.h"
#include "mvfst/settings.h"
#include "mvfst/tls.h"

namespace mvfstrl {
namespace {

// Of mvfst's timers for losses: what its servers run on, whose constants virtual time mirrors.
constexpr std::chrono::milliseconds kTick{10};
constexpr const char* kServerName = "mvfst-rl";  // no name is compared, but one has to be said

std::string text_of(const quic::QuicError& error) {
  const std::string code = quic::toString(error.code);
  return error.message.empty() ? code : error.message + " (" + code + ")";
}

// A few a second, each kept: a histogram's bins would be as wide as they are long.
class Durations {
 public:
  void add(Duration value) { values_.push_back(value); }
  Percentiles percentiles() const {
    std::vector<Duration> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const auto at = [&](double part) {
      if (sorted.empty()) return Duration::zero();
      return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1) + 0.5)];
    };
    return {at(0.50), at(0.99), at(1.0)};
  }

 private:
  std::vector<Duration> values_;
};

// A transport that can be told to write what it may, in packets of which size.
class Client final : public quic::QuicClientTransport {
 public:
  Client(const std::shared_ptr<quic::QuicEventBase>& loop, std::unique_ptr<quic::QuicAsyncUDPSocket> socket,
         const std::shared_ptr<quic::ClientHandshakeFactory>& handshake)
      : quic::QuicTransportBaseLite(loop, std::move(socket)),
        quic::QuicClientTransport(loop, nullptr, handshake) {}
  void write() { updateWriteLooper(true); }
  // After addNewPeerAddress(), which resets it to mvfst's own for the address's family.
  void send_packets_of(ByteCount size) { conn_->udpSendPacketLen = static_cast<std::uint64_t>(size.value()); }
};

}  // namespace

// All but the mailbox belongs to the loop's thread.
class MvfstSender::Connection final : public SessionHost,
                                      public quic::CongestionControllerFactory,
                                      public quic::QuicSocket::ConnectionSetupCallback,
                                      public quic::QuicSocket::ConnectionCallback,
                                      public quic::ByteEventCallback,
                                      public folly::EventBase::LoopCallback {
 public:
  Connection(const SenderOptions& options, std::unique_ptr<Session> session)
      : options_(options),
        peer_(numeric_address(options.host, options.port)),
        session_(std::move(session)),
        handshake_(client_handshake(options.ca_file)),
        loop_("mvfstrl-sender", kTick) {
    check_packet_size(options_.window.packet_size);
    loop_.run([this] {
      feeder_ = std::make_unique<StreamFeeder>(
          options_.traffic, options_.window.packet_size, &loop_.base(), [this] { top_up(); }, this);
      make_transport();
    });
  }
  ~Connection() override {
    loop_.run([this] { close(); });
  }

  void connect(Duration patience) {
    loop_.run([this] { transport_->start(this, this); });
    std::unique_lock lock(mutex_);
    const bool in_time = changed_.wait_for(lock, nanoseconds(patience), [&] { return ready_ || ended_; });
    const std::string where =
        "no QUIC connection to " + options_.host + " port " + std::to_string(options_.port);
    if (ended_) throw ConnectionError(where + ": " + *ended_);
    if (!in_time)
      throw ConnectionError(where + ": no answer for " + std::to_string(patience.ns() / 1'000'000) + " ms");
  }

  void start() {
    loop_.run([this] {
      if (controller_ == nullptr) return;  // it is over already
      start_ = now();
      session_->start(start_);
      feeder_->start(*transport_, start_);
      controller_->drive();
      top_up();
    });
  }

  bool wait(Duration patience) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, nanoseconds(patience),
                      [&] { return woken_ || question_ || ended_.has_value() || complete_; });
    const bool any = woken_ || question_ || ended_.has_value() || complete_;
    woken_ = false;
    return any;
  }
  void wake() {
    tell([this] { woken_ = true; });
  }

  bool take_question(Question& question) {
    const std::lock_guard lock(mutex_);
    if (!question_) return false;
    question = std::move(*question_);
    question_.reset();
    taken_ = question.number;
    return true;
  }
  void answer(std::int32_t action) {
    loop_.post([this, action, number = taken_] {
      if (controller_ != nullptr && session_->running()) controller_->answer(action, number);
    });
  }

  std::optional<std::string> ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  bool complete() const {
    const std::lock_guard lock(mutex_);
    return complete_;
  }
  SenderProgress progress() {
    SenderProgress progress;
    loop_.run([&] {
      const ConnectionStats& stats = session_->ledger().stats();
      progress = {.time = now() - start_,
                  .bytes_acked = stats.bytes_acked,
                  .congestion_window = session_->congestion_window(),
                  .smoothed_rtt = session_->ledger().rtt().smoothed(),
                  .packets_lost = stats.packets_lost};
    });
    return progress;
  }
  void finish() {
    loop_.run([this] {
      if (!session_->started()) session_->start(now());
      if (end_) return;
      end_ = now();
      counts_ = counts();
      session_->finish(*end_, complete());
      close();
    });
  }
  const Session& session() const { return *session_; }
  TimePoint session_now() {
    TimePoint at;
    loop_.run([&] { at = end_.value_or(now()); });
    return at;
  }
  TransportCounts transport_counts() const { return counts_; }
  Percentiles lateness() { return percentiles_of(late_); }
  Percentiles decision_times() { return percentiles_of(decisions_); }

 private:
  static std::chrono::nanoseconds nanoseconds(Duration duration) {
    return std::chrono::nanoseconds(duration.ns());
  }
  TimePoint now() const {
    return TimePoint::zero() + Duration::from_ns((std::chrono::steady_clock::now() - zero_).count());
  }
  Percentiles percentiles_of(const Durations& durations) {
    Percentiles told;
    loop_.run([&] { told = durations.percentiles(); });
    return told;
  }
  template <class F>
  void tell(F&& change) {
    {
      const std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

  void make_transport() {
    const auto events = std::make_shared<quic::FollyQuicEventBase>(&loop_.base());
    transport_ =
        std::make_shared<Client>(events, std::make_unique<quic::FollyQuicAsyncUDPSocket>(events), handshake_);
    transport_->addNewPeerAddress(peer_);
    transport_->send_packets_of(options_.window.packet_size);
    transport_->setHostname(kServerName);
    transport_->setPacingTimer(std::make_shared<quic::HighResQuicTimer>(
        &loop_.base(), quic::TransportSettings().pacingTimerResolution));
    if (!options_.qlog_folder.empty()) {
      transport_->setQLogger(std::make_shared<quic::FileQLogger>(
          quic::VantagePoint::Client, quic::kHTTP3ProtocolType, options_.qlog_folder, false, true));
    }
    // The transport does not own what it is given: an empty deleter.
    transport_->setCongestionControllerFactory(
        std::shared_ptr<quic::CongestionControllerFactory>(this, [](auto*) {}));
    transport_->setTransportSettings(sender_settings(options_, session_->controller().wants_pacing()));
  }

  std::unique_ptr<quic::CongestionController> makeCongestionController(
      quic::QuicConnectionStateBase& connection, quic::CongestionControlType type) override {
    std::unique_ptr<SessionController> made;
    if (options_.scheme) {
      auto own = quic::ServerCongestionControllerFactory().makeCongestionController(connection, type);
      made = std::make_unique<WatchedController>(connection, std::move(own), session_, zero_, &loop_.base(),
                                                 this);
    } else {
      made = std::make_unique<MvfstController>(connection, type, session_, zero_, &loop_.base(), this);
    }
    controller_ = made.get();
    return made;
  }

  TransportCounts counts() const {
    if (transport_ == nullptr) return {};
    const auto info = transport_->getTransportInfo();
    const auto bytes = [](std::uint64_t value) { return ByteCount(static_cast<std::int64_t>(value)); };
    const auto time = [](std::chrono::microseconds value) { return Duration::from_us(value.count()); };
    return {.packets_sent = info.totalPacketsSent,
            .packets_lost = info.totalPacketsMarkedLost,
            .packets_spuriously_lost = info.totalPacketsSpuriouslyMarkedLost,
            .probe_timeouts = info.totalPTOCount,
            .bytes_sent = bytes(info.bytesSent),
            .bytes_acked = bytes(info.bytesAcked),
            .bytes_received = bytes(info.bytesRecvd),
            .stream_bytes_retransmitted = bytes(info.totalStreamBytesSent - info.totalNewStreamBytesSent),
            .smoothed_rtt = time(info.srtt),
            .rtt_variation = time(info.rttvar),
            .latest_rtt = time(info.lrtt),
            .min_rtt = time(info.maybeMinRtt.value_or(std::chrono::microseconds(0))),
            .bytes_in_flight = bytes(info.bytesInFlight),
            .congestion_window = bytes(info.congestionWindow)};
  }

  void close() {
    closing_ = true;
    controller_ = nullptr;
    cancelLoopCallback();
    feeder_ = nullptr;
    if (const auto transport = std::exchange(transport_, nullptr)) transport->closeNow(std::nullopt);
  }
  void over(const std::string& why) {
    if (closing_) return;
    tell([&] {
      if (!ended_) ended_ = why;
    });
  }

  void top_up() {
    if (controller_ == nullptr || !feeder_->started() || !session_->running()) return;
    try {
      feeder_->top_up(session_->congestion_window(), now());
    } catch (const ConnectionError& error) {
      over(error.what());
    }
  }

  // SessionHost
  void on_question() override {
    Question question{.observation = {session_->observation().begin(), session_->observation().end()},
                      .step = session_->step(),
                      .number = session_->observation_number()};
    tell([&] { question_ = std::move(question); });
  }
  void on_event() override {
    if (!isLoopCallbackScheduled()) loop_.base().runInLoop(this, true);
  }
  void on_window() override {
    top_up();
    if (transport_ != nullptr) transport_->write();
  }
  void on_decision(Duration took) override { decisions_.add(took); }
  void on_timer(Duration late) override { late_.add(late); }
  void runLoopCallback() noexcept override { top_up(); }

  // mvfst's callbacks
  void onTransportReady() noexcept override {
    tell([this] { ready_ = true; });
  }
  void onConnectionSetupError(quic::QuicError error) noexcept override { over(text_of(error)); }
  void onConnectionError(quic::QuicError error) noexcept override { over(text_of(error)); }
  void onConnectionEnd() noexcept override { over("closed"); }
  void onNewBidirectionalStream(quic::StreamId) noexcept override {}
  void onNewUnidirectionalStream(quic::StreamId) noexcept override {}
  void onStopSending(quic::StreamId, quic::ApplicationErrorCode) noexcept override {
    over("the receiver wants no more");
  }
  // The last byte of a transfer has been acknowledged.
  void onByteEvent(quic::ByteEvent) override {
    tell([this] { complete_ = true; });
  }
  void onByteEventCanceled(quic::ByteEvent) override {}

  const SenderOptions options_;
  const quic::SocketAddress peer_;
  const std::chrono::steady_clock::time_point zero_ = std::chrono::steady_clock::now();
  std::shared_ptr<Session> session_;
  std::shared_ptr<quic::ClientHandshakeFactory> handshake_;
  SessionController* controller_ = nullptr;  // the transport's
  bool closing_ = false;
  TimePoint start_;
  std::optional<TimePoint> end_;
  TransportCounts counts_;
  Durations late_, decisions_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false, woken_ = false, complete_ = false;
  std::optional<std::string> ended_;
  std::optional<Question> question_;
  std::int64_t taken_ = 0;  // the number of the question taken last

  EventLoop loop_;
  std::unique_ptr<StreamFeeder> feeder_;
  std::shared_ptr<Client> transport_;
};

MvfstSender::MvfstSender(const SenderOptions& options, std::unique_ptr<Session> session)
    : connection_(std::make_unique<Connection>(options, std::move(session))) {}
MvfstSender::~MvfstSender() = default;
void MvfstSender::connect(Duration patience) { connection_->connect(patience); }
void MvfstSender::start() { connection_->start(); }
bool MvfstSender::wait(Duration patience) { return connection_->wait(patience); }
void MvfstSender::wake() { connection_->wake(); }
bool MvfstSender::take_question(Question& question) { return connection_->take_question(question); }
void MvfstSender::answer(std::int32_t action) { connection_->answer(action); }
std::optional<std::string> MvfstSender::ended() const { return connection_->ended(); }
bool MvfstSender::complete() const { return connection_->complete(); }
SenderProgress MvfstSender::progress() const { return connection_->progress(); }
void MvfstSender::finish() { connection_->finish(); }
const Session& MvfstSender::session() const { return connection_->session(); }
TimePoint MvfstSender::now() const { return connection_->session_now(); }
TransportCounts MvfstSender::transport_counts() const { return connection_->transport_counts(); }
Percentiles MvfstSender::lateness() const { return connection_->lateness(); }
Percentiles MvfstSender::decision_times() const { return connection_->decision_times(); }

}  // namespace mvfstrl
