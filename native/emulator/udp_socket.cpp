#include "emulator/udp_socket.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <array>

namespace mvfstrl {
namespace {

// 30 ms of 1 Gbit/s; the kernel counts each datagram at about twice its size.
constexpr int kBufferBytes = 8 << 20;

void set_option(int fd, int option, int value, const char* name) {
  if (setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) != 0) throw_errno(name);
}

// Beyond the system's limit where we may, else up to it.
void set_buffer(int fd, int forced, int limited, const char* name) {
  const int bytes = kBufferBytes;
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) != 0) set_option(fd, limited, bytes, name);
}

}  // namespace

UdpSocket::UdpSocket(const Address& address)
    : descriptor_(socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket") {
  set_buffer(fd(), SO_RCVBUFFORCE, SO_RCVBUF, "SO_RCVBUF");
  set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, "SO_SNDBUF");
  set_option(fd(), SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
}

UdpSocket UdpSocket::bound(const Address& local) {
  UdpSocket result(local);
  if (bind(result.fd(), local.get(), local.size()) != 0) throw_errno("cannot listen on " + local.text());
  return result;
}

UdpSocket UdpSocket::connected(const Address& peer) {
  UdpSocket result(peer);
  if (connect(result.fd(), peer.get(), peer.size()) != 0) throw_errno("cannot reach " + peer.text());
  return result;
}

std::int64_t UdpSocket::overruns() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof(info);
  if (getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, info.data(), &size) != 0) throw_errno("SO_MEMINFO");
  return info[SK_MEMINFO_DROPS];
}

}  // namespace mvfstrl
