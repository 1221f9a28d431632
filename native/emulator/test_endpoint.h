// One end of a path in tests: a UDP socket on loopback.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <string>

#include "emulator/address.h"
#include "emulator/descriptor.h"
#include "emulator/udp_socket.h"

namespace mvfstrl {

class TestEndpoint {
 public:
  struct Received {
    std::string text;
    Address sender;
  };

  explicit TestEndpoint(const Address& local = Address::parse("127.0.0.1"))
      : socket_(UdpSocket::bound(local)) {}

  Address address() const { return socket_.local(); }

  void send(const std::string& text, const Address& to) {
    if (sendto(socket_.fd(), text.data(), text.size(), 0, to.get(), to.size()) < 0) throw_errno("sendto");
  }

  // None if nothing comes for so long.
  std::optional<Received> receive(int within_ms = 2'000) {
    pollfd poll_entry{.fd = socket_.fd(), .events = POLLIN, .revents = 0};
    if (poll(&poll_entry, 1, within_ms) != 1) return std::nullopt;
    std::array<char, 4096> buffer;
    sockaddr_storage sender{};
    socklen_t size = sizeof(sender);
    const auto length =
        recvfrom(socket_.fd(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&sender), &size);
    if (length < 0) return std::nullopt;
    Received received{.text = std::string(buffer.data(), static_cast<std::size_t>(length)), .sender = {}};
    received.sender.assign(sender, size);
    return received;
  }

 private:
  UdpSocket socket_;
};

}  // namespace mvfstrl
