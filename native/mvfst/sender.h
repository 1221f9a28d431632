// A QUIC client of real mvfst that sends what its application has, driven by a session (host/session.h), on a
// thread of its own. No header of mvfst's is needed to use it.
//
//     MvfstSender sender(options, make_session(...));
//     sender.connect(Duration::from_ms(20000));         // the handshake
//     sender.start();                                   // the session's time zero: data flows
//     while (sender.wait(deadline)) {                   // something has happened
//       if (sender.take_question(question)) sender.answer(policy(question.observation));
//       if (sender.ended()) ...
//     }
//     sender.finish();                                  // the last window
//     sender.session()                                  // is the caller's now
//
// Packets never wait for an answer. All calls may come from any thread, from one at a time; wake() alone from
// several.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/units.h"
#include "congestion/mirrored.h"
#include "host/session.h"
#include "traffic/config.h"

namespace mvfstrl {

// A connection that did not come up or did not last.
class ConnectionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct SenderOptions {
  std::string host = "127.0.0.1";  // a numeric address, IPv4 or IPv6
  std::uint16_t port = 0;
  std::string ca_file;      // PEM: whom to trust; empty: anyone
  std::string qlog_folder;  // empty: no qlog
  AppConfig traffic = BulkApp{};
  std::optional<MvfstScheme> scheme;  // mvfst's own, and a session that mirrors it; none: the session's
  std::optional<bool> pacing;         // none: where the controller wants it
  WindowLimits window;                // the size of its packets, and the bounds of mvfst's own scheme
  bool segmentation_offload = false;  // bursts leave through one system call (UDP GSO)
};

// What waits for an answer.
struct Question {
  std::vector<float> observation;
  StepResult step;
  std::int64_t number = 0;
};

// A connection under way, for those who watch.
struct SenderProgress {
  Duration time;  // since start()
  ByteCount bytes_acked, congestion_window;
  Duration smoothed_rtt;
  std::uint64_t packets_lost = 0;
};

// What mvfst itself has counted on the whole connection, the handshake included.
struct TransportCounts {
  std::uint64_t packets_sent = 0, packets_lost = 0, packets_spuriously_lost = 0, probe_timeouts = 0;
  ByteCount bytes_sent, bytes_acked, bytes_received, stream_bytes_retransmitted;
  Duration smoothed_rtt, rtt_variation, latest_rtt, min_rtt;
  ByteCount bytes_in_flight, congestion_window;
};

struct Percentiles {
  Duration p50, p99, max;
};

class MvfstSender {
 public:
  // Throws std::invalid_argument naming the bad option, ConnectionError where a file cannot be read.
  MvfstSender(const SenderOptions& options, std::unique_ptr<Session> session);
  MvfstSender(const MvfstSender&) = delete;
  MvfstSender& operator=(const MvfstSender&) = delete;
  ~MvfstSender();  // closes the connection

  // Returns after the handshake. Throws ConnectionError.
  void connect(Duration patience);
  // Throws ConnectionError.
  void start();
  // Until there is a question, the connection is over, or wake(). False: `patience` ran out first.
  bool wait(Duration patience);
  void wake();
  // Once a question.
  bool take_question(Question& question);
  // To the question taken last; takes effect on the connection's thread, as soon as that comes to it.
  void answer(std::int32_t action);
  // Why the connection is over; none while it lasts. A transfer that has arrived whole is no such reason...
  std::optional<std::string> ended() const;
  // ...but this.
  bool complete() const;
  SenderProgress progress() const;
  // The last window closes, terminated where the transfer is complete; nothing is sent from then on.
  void finish();
  // After finish(): how it went, until finish().
  const Session& session() const;
  TimePoint now() const;  // session time; stands still after finish()
  TransportCounts transport_counts() const;
  // How late the thread came to its timers.
  Percentiles lateness() const;
  // What a policy in the session took over its decisions, with the event that closed their windows; zero
  // without one.
  Percentiles decision_times() const;

 private:
  class Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace mvfstrl
