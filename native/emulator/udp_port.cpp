#include "emulator/udp_port.h"

namespace mvfstrl {

int UdpClientPort::read(ReceiveBatch& batch) {
  const int count = batch.read(socket_);
  if (count > 0) client_ = batch.sender(static_cast<std::size_t>(count) - 1);
  return count;
}

}  // namespace mvfstrl
