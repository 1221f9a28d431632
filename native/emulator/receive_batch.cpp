#include "emulator/receive_batch.h"

#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace mvfstrl {

ReceiveBatch::ReceiveBatch(DatagramPool& pool) : pool_(pool) {
  for (std::size_t i = 0; i < kSize; ++i) {
    datagrams_[i] = pool.take();
    if (datagrams_[i] == nullptr) throw std::invalid_argument("a pool of less than a batch of datagrams");
    messages_[i].msg_hdr.msg_iov = &buffers_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
    messages_[i].msg_hdr.msg_name = &senders_[i];
    messages_[i].msg_hdr.msg_control = controls_[i].bytes.data();
  }
}

int ReceiveBatch::read(const UdpSocket& socket) {
  for (std::size_t i = 0; i < kSize; ++i) {
    buffers_[i] = {.iov_base = datagrams_[i]->bytes.data(), .iov_len = kMaxDatagramBytes};
    messages_[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    messages_[i].msg_hdr.msg_controllen = sizeof(Control);
  }
  return recvmmsg(socket.fd(), messages_.data(), kSize, MSG_DONTWAIT, nullptr);
}

int ReceiveBatch::read_packets(int device) {
  for (std::size_t i = 0; i < kSize; ++i) {
    const auto size = ::read(device, datagrams_[i]->bytes.data(), kMaxDatagramBytes);
    if (size < 0) return i > 0 ? static_cast<int>(i) : -1;
    messages_[i].msg_len = static_cast<unsigned>(size);
    messages_[i].msg_hdr.msg_controllen = 0;  // nobody stamps packets
    messages_[i].msg_hdr.msg_flags = 0;
  }
  return kSize;
}

TimePoint ReceiveBatch::arrived(std::size_t i, const StampClock& clock) const {
  msghdr header = messages_[i].msg_hdr;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(part), sizeof(stamp));
    return clock.monotonic(stamp);
  }
  return clock.now();
}

Address ReceiveBatch::sender(std::size_t i) const {
  Address address;
  address.assign(senders_[i], messages_[i].msg_hdr.msg_namelen);
  return address;
}

Datagram* ReceiveBatch::take(std::size_t i) {
  Datagram* fresh = pool_.take();
  if (fresh == nullptr) return nullptr;
  Datagram* datagram = datagrams_[i];
  datagram->size = messages_[i].msg_len;
  datagrams_[i] = fresh;
  return datagram;
}

}  // namespace mvfstrl
