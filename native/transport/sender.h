// The sending endpoint: packet numbers, RTT, loss detection, probe timeouts, persistent congestion and
// pacing, by RFC 9002 with mvfst's constants and readings. It does no I/O: time and ACKs are handed in,
// packets are taken out.
//
//     sender.on_timer(now);  sender.on_ack(now, frame);
//     while (sender.next_packet(now, packet)) path.enter(now, packet);
//     wake_up_at(sender.next_timer());
//
// Drain next_packet() after *each* ACK, also of several that arrive at one instant: mvfst's server reads one
// packet a loop and writes. HyStart's rounds end with what had been sent, so the order shows: with all ACKs
// first, CUBIC leaves slow start at nearly twice the window where ACKs come in batches (scenario s14).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/rng.h"
#include "common/units.h"
#include "congestion/connection_stats.h"
#include "congestion/controller.h"
#include "congestion/observer.h"
#include "congestion/rtt_stats.h"
#include "traffic/application.h"
#include "traffic/config.h"
#include "transport/ack_frame.h"
#include "transport/config.h"
#include "transport/event_log.h"
#include "transport/pacer.h"
#include "transport/sent_packets.h"

namespace mvfstrl {

class Sender {
 public:
  // The application begins at `start`; `rng` drives an on-off source. Throws std::invalid_argument naming the
  // item.
  Sender(const TransportConfig& config, std::unique_ptr<CongestionController> controller,
         const AppConfig& app, TimePoint start = TimePoint::zero(), Rng rng = Rng());

  // True, with the packet in `out`, while something may leave now: window, pacing, application and probes
  // permitting. Call until false; next_timer() counts on it.
  bool next_packet(TimePoint now, DataPacket& out) {
    const bool plain = stats_.bytes_in_flight < plain_window_ && now == last_sent_ && pacer_.send_another();
    if (!plain) [[unlikely]]
      return next_by_rules(now, out);
    out.packet_number = book(now, config_.window.packet_size);
    out.payload = config_.window.packet_size;
    return true;
  }
  void on_ack(TimePoint now, const AckFrame& frame);
  // The earliest of loss time or probe timeout, pacing release and application; never() if only an ACK can
  // change anything.
  TimePoint next_timer() const;
  // Before next_timer() it does nothing. Ask next_packet() afterwards.
  void on_timer(TimePoint now);

  // Called on each ACK or loss event; null for none. Not owned.
  void set_observer(ConnectionObserver* observer) { observer_ = observer; }
  // All that happens from now on is appended to `log`; null for none. Not owned.
  void set_log(EventLog* log) {
    log_ = log;
    plain_window_ = ByteCount::zero();
    notify_sent_ = log != nullptr || controller_->wants_packet_sent();
  }

  const RttStats& rtt() const { return rtt_; }
  // Current on return, the controller's window and what it admits included.
  const ConnectionStats& stats();
  CongestionController& controller() {
    plain_window_ = ByteCount::zero();  // it may be told another window
    return *controller_;
  }
  // A fixed-size transfer whose every byte has been acknowledged.
  bool finished() const;

 private:
  // ---- sender_sending.cpp
  bool next_by_rules(TimePoint now, DataPacket& out);
  bool probe(TimePoint now, DataPacket& out);
  bool clone_oldest(TimePoint now, DataPacket& out);
  void send(TimePoint now, ByteCount size, DataPacket& out);
  // Gives the packet a number and enters it into the books.
  std::uint64_t book(TimePoint now, ByteCount size) {
    stats_.bytes_sent += size;
    stats_.bytes_in_flight += size;
    ++stats_.packets_sent;
    ++stats_.packets_in_flight;
    const std::uint64_t number = sent_.next_packet_number();
    SentRecord& record = sent_.push();
    record.sent_time = now;
    record.sent_bytes = stats_.bytes_sent;
    record.size = static_cast<std::uint32_t>(size.value());
    record.delivery = deliveries_.current();
    record.app_limited = stats_.bytes_acked < app_limited_until_;
    return number;
  }
  void notify_sent(const SentPacket& packet);
  bool has_data() const { return retransmit_ > ByteCount::zero() || app_.has_data(); }
  bool handshaking() const {
    return done_pending_ ||
           sent_.next_packet_number() < static_cast<std::uint64_t>(config_.handshake_packets);
  }
  void send_data(TimePoint now, DataPacket& out);
  void send_handshake(TimePoint now, DataPacket& out);
  void on_nothing_to_send(TimePoint now);

  // ---- sender_acks.cpp
  void note_delivery();
  std::optional<Duration> collect_acked(TimePoint now, const AckFrame& frame);
  void collect_acked_holes(const AckFrame& frame);
  void collect_acked_new(const AckFrame& frame);
  void acknowledge(std::uint64_t packet_number);
  void detect_losses(TimePoint now);
  void declare_lost(std::uint64_t packet_number);
  bool claim_data(std::uint64_t packet_number);
  void deliver_event(TimePoint now, ByteCount prior_in_flight, std::optional<Duration> rtt,
                     Duration ack_delay);
  void on_probe_timeout();
  void forget_old_losses(TimePoint now);
  Duration probe_timeout() const;
  void arm_loss_alarm(TimePoint now) {
    alarm_base_ = now;
    alarm_known_ = false;
  }
  TimePoint loss_alarm() const;
  void update_window_stats();

  TransportConfig config_;
  std::unique_ptr<CongestionController> controller_;
  ConnectionObserver* observer_ = nullptr;
  EventLog* log_ = nullptr;
  Application app_;
  Pacer pacer_;
  SentPackets sent_;
  RttStats rtt_;
  ConnectionStats stats_;

  ByteCount retransmit_;  // data declared lost and not sent again yet
  std::int32_t probes_pending_ = 0;
  std::uint64_t next_clone_ =
      0;                       // where to look for the oldest packet that this probe timeout has not repeated
  bool done_pending_ = false;  // the handshake's last packet may go
  bool done_settled_ = false;
  // Until so much is in flight, full packets of new data follow the one just sent; zero: the rules say what
  // does. It is the controller's window, while nothing but a packet sent has come between.
  ByteCount plain_window_;
  bool pacing_blocked_ = false;  // since the last next_packet()
  bool notify_sent_ = false;     // the controller, or a log, wants on_packet_sent()
  bool app_idle_ = false;        // as the controller was told
  ByteCount app_limited_until_;  // delivered bytes that end the application-limited phase
  DeliveryState delivery_;       // as of the latest event
  DeliveryStates deliveries_;

  std::optional<TimePoint> loss_time_;  // when the oldest hole in flight is lost
  TimePoint last_sent_;
  TimePoint alarm_base_;     // when the loss alarm was armed
  mutable TimePoint alarm_;  // computed when asked for
  mutable bool alarm_known_ = false;

  // The event being handled; the lists are reused.
  ByteCount acked_bytes_;
  std::vector<AckedPacket> acked_;
  std::vector<LostPacket> lost_;
};

}  // namespace mvfstrl
