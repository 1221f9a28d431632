// Up to 64 datagrams read from a socket by one system call, straight into the pool's memory.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>

#include "common/units.h"
#include "emulator/address.h"
#include "emulator/clock.h"
#include "emulator/datagram_pool.h"
#include "emulator/udp_socket.h"

namespace mvfstrl {

class ReceiveBatch {
 public:
  static constexpr std::size_t kSize = 64;

  explicit ReceiveBatch(DatagramPool& pool);
  ReceiveBatch(const ReceiveBatch&) = delete;
  ReceiveBatch& operator=(const ReceiveBatch&) = delete;

  // Reads what is there, at most kSize; returns how many, or -1 with errno set. What the previous call read
  // and nobody took is gone.
  int read(const UdpSocket& socket);

  // The same from a device of packets, one a system call.
  int read_packets(int device);

  // Of datagram `i` of the latest read():
  // when it arrived, of the monotonic clock;
  TimePoint arrived(std::size_t i, const StampClock& clock) const;
  // who sent it;
  Address sender(std::size_t i) const;
  // whether it was longer than a datagram may be;
  bool truncated(std::size_t i) const { return (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0; }
  // itself, for the caller to give back to the pool; null if the pool has no more room. Once.
  Datagram* take(std::size_t i);

 private:
  struct Control {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(timespec))> bytes;
  };

  DatagramPool& pool_;
  std::array<Datagram*, kSize> datagrams_;
  std::array<mmsghdr, kSize> messages_{};
  std::array<iovec, kSize> buffers_{};
  std::array<sockaddr_storage, kSize> senders_{};
  std::array<Control, kSize> controls_{};
};

}  // namespace mvfstrl
