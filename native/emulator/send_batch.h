// Datagrams that are due, written by as few system calls as may be.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/units.h"
#include "emulator/address.h"
#include "emulator/datagram_pool.h"
#include "emulator/udp_socket.h"

namespace mvfstrl {

class SendBatch {
 public:
  static constexpr std::size_t kSize = 64;

  SendBatch();
  SendBatch(const SendBatch&) = delete;
  SendBatch& operator=(const SendBatch&) = delete;

  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == kSize; }
  // To be written at `due`, of the path's clock. The datagram must stay as it is until write() is done.
  void add(Datagram& datagram, TimePoint due);

  // Empties the batch. Returns how many datagrams came to nobody, these or earlier ones, as far as the system
  // tells. `to` null: the socket is connected.
  std::int64_t write(const UdpSocket& socket, const Address* to);
  // The same to a device of packets, one a system call.
  std::int64_t write_packets(int device);
  // Of the latest of them: when each datagram was due.
  std::span<const TimePoint> due() const { return {due_.data(), written_}; }

 private:
  std::array<mmsghdr, kSize> messages_{};
  std::array<iovec, kSize> buffers_{};
  std::array<TimePoint, kSize> due_;
  std::size_t size_ = 0;
  std::size_t written_ = 0;
};

}  // namespace mvfstrl
