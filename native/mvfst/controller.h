// Congestion controllers for mvfst that a session (host/session.h) drives, or watches. They live on their
// connection's event loop, as all that belongs to it.
#pragma once

#include <folly/io/async/AsyncTimeout.h>
#include <quic/congestion_control/CongestionController.h>
#include <quic/state/StateData.h>

#include <memory>

#include "host/session.h"
#include "mvfst/adapter.h"

namespace mvfstrl {

// Who looks after a session beside its connection. All calls come on the connection's event loop.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // Packets were acknowledged or lost.
  virtual void on_event() {}
  // An observation waits for an answer that the session does not give itself.
  virtual void on_question() {}
  // The window has moved while nothing else happened: packets may leave that waited.
  virtual void on_window() {}
  // A policy in the session has decided, in so long.
  virtual void on_decision(Duration /*took*/) {}
  // A window's end was noticed so late.
  virtual void on_timer(Duration /*late*/) {}
};

// What both kinds of controller share: the session's events, and its timer.
class SessionController : public quic::CongestionController, private folly::AsyncTimeout {
 public:
  using Adapter = MvfstAdapter<quic::QuicConnectionStateBase>;

  // `loop`: the connection's; null: windows end with the next event instead of in time. `host` may be null. A
  // session that waits for its start starts with the first packet of data, unless its host does it.
  SessionController(quic::QuicConnectionStateBase& connection, quic::CongestionControlType type,
                    std::shared_ptr<Session> session, Adapter::SteadyTime zero, folly::EventBase* loop,
                    SessionHost* host);

  // Closes what is due, tells of questions, sets the timer.
  void drive();
  // An agent's answer to observation `number`, applied at once.
  void answer(std::int32_t action, std::int64_t number);
  TimePoint now() const { return adapter_.time(std::chrono::steady_clock::now()); }

  // quic::CongestionController
  quic::CongestionControlType type() const override { return type_; }

 protected:
  void sent(const quic::OutstandingPacketWrapper& packet);
  // False: nothing of the session's was in it.
  bool event(const AckEvent* ack, const LossEvent* loss);

  quic::QuicConnectionStateBase& connection_;
  std::shared_ptr<Session> session_;
  Adapter adapter_;

 private:
  void timeoutExpired() noexcept override;
  // Runs what tells the session of something, closes what is due, tells the host what came of it.
  template <class F>
  void settle(F&& f);
  void arm();

  quic::CongestionControlType type_;
  SessionHost* host_;
  bool timed_;
  TimePoint armed_ = TimePoint::never();
};

// Our controllers and policies in mvfst: the window is the session's, and the pace, where mvfst paces.
class MvfstController final : public SessionController {
 public:
  using SessionController::SessionController;

  void onRemoveBytesFromInflight(std::uint64_t left) override { adapter_.flight_left(left); }
  void onPacketSent(const quic::OutstandingPacketWrapper& packet) override { sent(packet); }
  void onPacketAckOrLoss(const AckEvent* ack, const LossEvent* loss) override;
  std::uint64_t getWritableBytes() const override { return adapter_.writable(); }
  std::uint64_t getCongestionWindow() const override {
    return static_cast<std::uint64_t>(session_->congestion_window().value());
  }
  void setAppIdle(bool idle, quic::TimePoint at) override { session_->app_idle(adapter_.time(at), idle); }
  void setAppLimited() override { adapter_.set_app_limited(); }
  bool isAppLimited() const override { return adapter_.app_limited(); }
  void getStats(quic::CongestionControllerStats&) const override {}
};

// One of mvfst's own, which drives; the session sees what it does and is told the window.
class WatchedController final : public SessionController {
 public:
  WatchedController(quic::QuicConnectionStateBase& connection,
                    std::unique_ptr<quic::CongestionController> own, std::shared_ptr<Session> session,
                    Adapter::SteadyTime zero, folly::EventBase* loop, SessionHost* host);

  void onRemoveBytesFromInflight(std::uint64_t left) override;
  void onPacketSent(const quic::OutstandingPacketWrapper& packet) override;
  void onPacketAckOrLoss(const AckEvent* ack, const LossEvent* loss) override;
  std::uint64_t getWritableBytes() const override { return own_->getWritableBytes(); }
  std::uint64_t getCongestionWindow() const override { return own_->getCongestionWindow(); }
  quic::Optional<quic::Bandwidth> getBandwidth() const override { return own_->getBandwidth(); }
  std::uint64_t getBDP() const override { return own_->getBDP(); }
  void setAppIdle(bool idle, quic::TimePoint at) override;
  void setAppLimited() override { own_->setAppLimited(); }
  bool isAppLimited() const override { return own_->isAppLimited(); }
  void getStats(quic::CongestionControllerStats& stats) const override { own_->getStats(stats); }

 private:
  void mirror();

  std::unique_ptr<quic::CongestionController> own_;
};

}  // namespace mvfstrl
