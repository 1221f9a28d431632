// The UDP ports of a path. They never block, and have the kernel stamp what arrives.
#pragma once

#include <optional>

#include "emulator/port.h"
#include "emulator/udp_socket.h"

namespace mvfstrl {

// Where clients send: answers go to where the latest datagram came from.
class UdpClientPort final : public Port {
 public:
  // Throws std::system_error naming the address.
  explicit UdpClientPort(const Address& listen) : socket_(UdpSocket::bound(listen)) {}

  Address address() const { return socket_.local(); }
  int fd() const override { return socket_.fd(); }
  int read(ReceiveBatch& batch) override;
  bool addressed() const override { return client_.has_value(); }
  std::int64_t write(SendBatch& batch) override { return batch.write(socket_, &*client_); }
  std::int64_t overruns() const override { return socket_.overruns(); }

 private:
  UdpSocket socket_;
  std::optional<Address> client_;
};

// Speaks to one server, from a port of its own.
class UdpServerPort final : public Port {
 public:
  // Throws std::system_error naming the address.
  explicit UdpServerPort(const Address& server) : socket_(UdpSocket::connected(server)) {}

  int fd() const override { return socket_.fd(); }
  int read(ReceiveBatch& batch) override { return batch.read(socket_); }
  std::int64_t write(SendBatch& batch) override { return batch.write(socket_, nullptr); }
  std::int64_t overruns() const override { return socket_.overruns(); }

 private:
  UdpSocket socket_;
};

}  // namespace mvfstrl
