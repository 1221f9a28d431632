// A QUIC server of real mvfst that takes all and keeps nothing, on a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/units.h"

namespace mvfstrl {

struct ReceiverOptions {
  std::string host = "127.0.0.1";     // to listen on: a numeric address, IPv4 or IPv6
  std::uint16_t port = 0;             // 0: a free one
  std::string certificate_file = {};  // PEM; empty, as the key: one is made, which nobody else has
  std::string key_file = {};
  std::string qlog_folder = {};  // empty: no qlog
};

struct ReceiverTotals {
  std::uint64_t connections = 0;  // so far
  std::uint64_t open = 0;
  ByteCount received;  // stream data
};

class MvfstReceiver {
 public:
  // Listens. Throws ConnectionError (mvfst/sender.h) naming the address or the file.
  explicit MvfstReceiver(const ReceiverOptions& options);
  MvfstReceiver(const MvfstReceiver&) = delete;
  MvfstReceiver& operator=(const MvfstReceiver&) = delete;
  ~MvfstReceiver();

  std::uint16_t port() const;
  ReceiverTotals totals() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace mvfstrl
