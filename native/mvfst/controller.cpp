#include "mvfst/controller.h"

#include <algorithm>
#include <utility>

namespace mvfstrl {
namespace {

std::chrono::microseconds microseconds(Duration duration) {
  return std::chrono::microseconds((duration.ns() + 999) / 1000);
}

}  // namespace

SessionController::SessionController(quic::QuicConnectionStateBase& connection,
                                     quic::CongestionControlType type, std::shared_ptr<Session> session,
                                     Adapter::SteadyTime zero, folly::EventBase* loop, SessionHost* host)
    : folly::AsyncTimeout(loop),
      connection_(connection),
      session_(std::move(session)),
      adapter_(connection, *session_, zero),
      type_(type),
      host_(host),
      timed_(loop != nullptr) {}

void SessionController::sent(const quic::OutstandingPacketWrapper& packet) {
  if (host_ == nullptr && !session_->started() &&
      packet.packet.header.getPacketNumberSpace() == quic::PacketNumberSpace::AppData) {
    session_->start(adapter_.time(packet.metadata.time));
    arm();
  }
  adapter_.packet_sent(packet);
}

template <class F>
void SessionController::settle(F&& f) {
  const TimePoint start = now();
  const std::int64_t answers = session_->own_answers();
  f();  // a window that is over closes with what happened, or by itself
  const bool asks = session_->poll(start);
  if (host_ != nullptr) {
    if (session_->own_answers() > answers) host_->on_decision(now() - start);
    if (asks) host_->on_question();
  }
  arm();
}

void SessionController::drive() {
  settle([this] { adapter_.refresh(); });
}

bool SessionController::event(const AckEvent* ack, const LossEvent* loss) {
  bool any = false;
  settle([&] { any = adapter_.ack_or_loss(ack, loss); });
  if (host_ != nullptr) host_->on_event();
  return any;
}

void SessionController::answer(std::int32_t action, std::int64_t number) {
  const ByteCount before = session_->congestion_window();
  session_->answer(now(), action, std::nullopt, number);
  if (session_->congestion_window() != before && host_ != nullptr) host_->on_window();
  arm();
}

void SessionController::arm() {
  const TimePoint due = session_->next_timer();
  if (!timed_ || due == armed_) return;
  armed_ = due;
  if (due.is_never()) {
    cancelTimeout();
  } else {
    scheduleTimeoutHighRes(microseconds(std::max(due - now(), Duration::zero())));
  }
}

void SessionController::timeoutExpired() noexcept {
  const TimePoint due = std::exchange(armed_, TimePoint::never());
  if (host_ != nullptr && !due.is_never()) host_->on_timer(std::max(now() - due, Duration::zero()));
  const ByteCount before = session_->congestion_window();
  drive();
  if (session_->congestion_window() != before && host_ != nullptr) host_->on_window();
}

void MvfstController::onPacketAckOrLoss(const AckEvent* ack, const LossEvent* loss) {
  const bool any = event(ack, loss);
  const std::optional<Pace>& pace = session_->pace();
  if (!any || !pace || connection_.pacer == nullptr) return;
  if (pace->restart) connection_.pacer->reset();
  connection_.pacer->refreshPacingRate(static_cast<std::uint64_t>(pace->window.value()),
                                       microseconds(pace->over));
}

WatchedController::WatchedController(quic::QuicConnectionStateBase& connection,
                                     std::unique_ptr<quic::CongestionController> own,
                                     std::shared_ptr<Session> session, Adapter::SteadyTime zero,
                                     folly::EventBase* loop, SessionHost* host)
    : SessionController(connection, own->type(), std::move(session), zero, loop, host), own_(std::move(own)) {
  mirror();
}

void WatchedController::mirror() {
  session_->mirror_window(ByteCount(static_cast<std::int64_t>(own_->getCongestionWindow())));
}

void WatchedController::onRemoveBytesFromInflight(std::uint64_t left) {
  own_->onRemoveBytesFromInflight(left);
  adapter_.flight_left(left);
}

void WatchedController::onPacketSent(const quic::OutstandingPacketWrapper& packet) {
  own_->onPacketSent(packet);
  sent(packet);
}

void WatchedController::onPacketAckOrLoss(const AckEvent* ack, const LossEvent* loss) {
  own_->onPacketAckOrLoss(ack, loss);
  mirror();
  event(ack, loss);
}

void WatchedController::setAppIdle(bool idle, quic::TimePoint at) {
  own_->setAppIdle(idle, at);
  session_->app_idle(adapter_.time(at), idle);
}

}  // namespace mvfstrl
