#include "emulator/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace mvfstrl {
namespace {

std::uint16_t parse_port(const std::string& digits, const std::string& whole) {
  std::uint16_t port = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc() || stop != end) {
    throw std::invalid_argument("'" + whole + "': '" + digits + "' is no port (0 to 65535)");
  }
  return port;
}

}  // namespace

Address Address::resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) throw std::invalid_argument("'" + host + "' is no address: " + gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  Address address;
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
              reinterpret_cast<char*>(&address.storage_));
  address.size_ = found->ai_addrlen;
  return address;
}

Address Address::parse(const std::string& text) {
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string::npos) throw std::invalid_argument("'" + text + "': ']' is missing");
    const std::string host = text.substr(1, close - 1);
    const std::string rest = text.substr(close + 1);
    if (rest.empty()) return resolve(host, 0);
    if (rest[0] != ':') throw std::invalid_argument("'" + text + "': expected ':PORT' after ']'");
    return resolve(host, parse_port(rest.substr(1), text));
  }
  const auto colon = text.find(':');
  if (colon == std::string::npos || text.find(':', colon + 1) != std::string::npos) return resolve(text, 0);
  return resolve(text.substr(0, colon), parse_port(text.substr(colon + 1), text));
}

Address Address::of_socket(int fd) {
  Address address;
  address.size_ = sizeof(address.storage_);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage_), &address.size_) != 0) {
    throw std::system_error(errno, std::generic_category(), "getsockname");
  }
  return address;
}

void Address::assign(const sockaddr_storage& storage, socklen_t size) {
  storage_ = storage;
  size_ = size;
}

std::string Address::host() const {
  char text[INET6_ADDRSTRLEN] = "?";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, text, sizeof(text));
  } else if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr, text, sizeof(text));
  }
  return text;
}

std::uint16_t Address::port() const {
  // The port is at one place in both.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

std::string Address::text() const {
  std::ostringstream text;
  if (family() == AF_INET6) {
    text << '[' << host() << "]:" << port();
  } else {
    text << host() << ':' << port();
  }
  return text.str();
}

}  // namespace mvfstrl
