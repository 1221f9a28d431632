// Where a UDP socket is or speaks to.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace mvfstrl {

class Address {
 public:
  Address() = default;
  // `host`: a name or a numeric address, IPv4 or IPv6. Throws std::invalid_argument naming it if there is
  // none.
  static Address resolve(const std::string& host, std::uint16_t port);
  // "HOST", "HOST:PORT", "[IPV6]" or "[IPV6]:PORT"; port 0 where none is given.
  static Address parse(const std::string& text);
  // The local address of a socket.
  static Address of_socket(int fd);

  int family() const { return storage_.ss_family; }
  std::string host() const;
  std::uint16_t port() const;
  // "127.0.0.1:4433", "[::1]:4433".
  std::string text() const;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  // As a system call's out parameters have it.
  void assign(const sockaddr_storage& storage, socklen_t size);

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace mvfstrl
