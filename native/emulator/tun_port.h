// A TUN device as a path's end: whatever the host routes into it crosses the path, packet by packet. Takes
// root.
#pragma once

#include <string>

#include "emulator/descriptor.h"
#include "emulator/port.h"

namespace mvfstrl {

class TunPort final : public Port {
 public:
  // Makes the device, in the network namespace of the caller; it may be moved, and is gone with the port.
  // Throws std::system_error naming it.
  explicit TunPort(const std::string& name);

  int fd() const override { return descriptor_.get(); }
  int read(ReceiveBatch& batch) override { return batch.read_packets(fd()); }
  std::int64_t write(SendBatch& batch) override { return batch.write_packets(fd()); }

 private:
  Descriptor descriptor_;
};

}  // namespace mvfstrl
