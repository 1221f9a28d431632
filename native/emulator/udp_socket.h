// One UDP socket of an emulated path: never blocks, stamps what arrives with the time of its arrival.
#pragma once

#include <cstdint>

#include "emulator/address.h"
#include "emulator/descriptor.h"

namespace mvfstrl {

class UdpSocket {
 public:
  // Both throw std::system_error naming the address.
  static UdpSocket bound(const Address& local);
  static UdpSocket connected(const Address& peer);

  int fd() const { return descriptor_.get(); }
  Address local() const { return Address::of_socket(fd()); }
  // Datagrams that the kernel threw away because nobody read them in time.
  std::int64_t overruns() const;

 private:
  explicit UdpSocket(const Address& address);

  Descriptor descriptor_;
};

}  // namespace mvfstrl
