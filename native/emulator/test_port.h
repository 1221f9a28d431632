// One end of a path in tests that have no network: what "comes in" is what the test says.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>

#include "emulator/descriptor.h"
#include "emulator/port.h"

namespace mvfstrl {

class TestPort final : public Port {
 public:
  TestPort() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      throw_errno("socketpair");
    }
    own_ = Descriptor(ends[0], "socketpair");
    other_ = Descriptor(ends[1], "socketpair");
  }

  int fd() const override { return own_.get(); }
  int read(ReceiveBatch& batch) override {
    if (device >= 0) return batch.read_packets(device);
    if (!refused) return batch.read_packets(fd());
    refused = false;
    errno = ECONNREFUSED;
    return -1;
  }
  bool addressed() const override { return known; }
  std::int64_t write(SendBatch& batch) override { return batch.write_packets(fd()) + unsent; }
  std::int64_t overruns() const override { return lost; }

  // The host's side of it. The system keeps a few datagrams, no more.
  void send(const std::string& text) {
    if (::write(other_.get(), text.data(), text.size()) < 0) throw_errno("write");
  }
  std::optional<std::string> receive() {
    std::array<char, 4096> bytes;
    const auto size = ::read(other_.get(), bytes.data(), bytes.size());
    if (size < 0) return std::nullopt;
    return std::string(bytes.data(), static_cast<std::size_t>(size));
  }

  int device = -1;       // to read from instead
  bool known = true;     // whose address it is
  bool refused = false;  // the next read tells that an earlier write was
  std::int64_t unsent = 0, lost = 0;

 private:
  Descriptor own_, other_;
};

}  // namespace mvfstrl
