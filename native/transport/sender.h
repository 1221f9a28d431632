// The sending endpoint: packet numbers, RTT, loss detection, probe timeouts, persistent congestion, pacing
// (RFC 9002 with mvfst's constants and readings). I/O-free: time and ACKs are handed in, packets are taken
// out.
//
//     sender.on_timer(now) / sender.on_ack(now, frame);
//     while (sender.next_packet(now, packet)) path.enter(now, packet);
//     wake_up_at(sender.next_timer());
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
#include "transport/ack_frame.h"
#include "transport/application.h"
#include "transport/config.h"
#include "transport/pacer.h"
#include "transport/sent_packets.h"

namespace mvfstrl {

class Sender {
 public:
  // `start` is when the application begins; `rng` drives an on-off source. Throws std::invalid_argument.
  Sender(const TransportConfig& config, std::unique_ptr<CongestionController> controller,
         const AppConfig& app, TimePoint start = TimePoint::zero(), Rng rng = Rng());
  ~Sender();
  Sender(Sender&&) noexcept;
  Sender& operator=(Sender&&) noexcept;

  // True, with the packet in `out`, while something may leave now: window, pacing, application and probes
  // permitting.
  bool next_packet(TimePoint now, DataPacket& out);
  void on_ack(TimePoint now, const AckFrame& frame);
  // The earliest of: loss time or probe timeout, pacing release, application. on_timer() before it does
  // nothing.
  TimePoint next_timer() const;
  void on_timer(TimePoint now);

  // Called for each ACK or loss event; null for none. Not owned.
  void set_observer(ConnectionObserver* observer) { observer_ = observer; }

  const RttStats& rtt() const { return rtt_; }
  // Current on return, the window and what it admits included.
  const ConnectionStats& stats();
  CongestionController& controller() { return *controller_; }
  // A fixed-size transfer whose every byte is acknowledged.
  bool finished() const;

 private:
  struct EventScratch;  // lists of one event, reused
  enum class Cause { kNew, kRetransmission, kProbe };

  void send(TimePoint now, ByteCount size, Cause cause, DataPacket& out);
  void collect_newly_acked(const AckFrame& frame);
  void detect_losses(TimePoint now);
  bool is_persistent_congestion(bool with_ack) const;
  void deliver_event(TimePoint now, bool with_ack, std::optional<Duration> rtt);
  void on_probe_timeout();
  Duration probe_timeout() const;
  TimePoint loss_timer() const;
  void update_window_stats();

  TransportConfig config_;
  std::unique_ptr<CongestionController> controller_;
  std::unique_ptr<EventScratch> scratch_;
  ConnectionObserver* observer_ = nullptr;
  Application app_;
  Pacer pacer_;
  SentPackets sent_;
  RttStats rtt_;
  ConnectionStats stats_;
};

}  // namespace mvfstrl
