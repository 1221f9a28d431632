#include "emulator/send_batch.h"

#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <utility>

namespace mvfstrl {

SendBatch::SendBatch() {
  for (std::size_t i = 0; i < kSize; ++i) {
    messages_[i].msg_hdr.msg_iov = &buffers_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

void SendBatch::add(Datagram& datagram, TimePoint due) {
  assert(!full());
  buffers_[size_] = {.iov_base = datagram.bytes.data(), .iov_len = datagram.size};
  due_[size_++] = due;
}

std::int64_t SendBatch::write(const UdpSocket& socket, const Address* to) {
  for (std::size_t i = 0; i < size_; ++i) {
    // sendmsg() does not change the name; its type only says so.
    messages_[i].msg_hdr.msg_name = to != nullptr ? const_cast<sockaddr*>(to->get()) : nullptr;
    messages_[i].msg_hdr.msg_namelen = to != nullptr ? to->size() : 0;
  }
  std::int64_t refused = 0;
  bool again = false;
  for (std::size_t done = 0; done < size_;) {
    const auto left = static_cast<unsigned>(size_ - done);
    const int sent = sendmmsg(socket.fd(), &messages_[done], left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      again = false;
    } else {
      // What an earlier datagram met is told here, too: then this one has not been tried.
      again = errno == ECONNREFUSED && !again;
      if (!again) ++done;
      ++refused;
    }
  }
  written_ = std::exchange(size_, 0);
  return refused;
}

std::int64_t SendBatch::write_packets(int device) {
  std::int64_t refused = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    if (::write(device, buffers_[i].iov_base, buffers_[i].iov_len) < 0) ++refused;
  }
  written_ = std::exchange(size_, 0);
  return refused;
}

}  // namespace mvfstrl
