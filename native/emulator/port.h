// One end of an emulated path towards the host: where datagrams come in and go out.
#pragma once

#include <cstdint>
#include <memory>

#include "emulator/receive_batch.h"
#include "emulator/send_batch.h"

namespace mvfstrl {

class Port {
 public:
  virtual ~Port() = default;

  // Readable when something has come.
  virtual int fd() const = 0;
  // Reads what is there into the batch; returns how many, or -1 with errno set.
  virtual int read(ReceiveBatch& batch) = 0;
  // Whether it is known where to write.
  virtual bool addressed() const { return true; }
  // Writes the batch; returns how many datagrams came to nobody, these or earlier ones, as far as the system
  // tells.
  virtual std::int64_t write(SendBatch& batch) = 0;
  // Datagrams that the kernel threw away because nobody read them in time.
  virtual std::int64_t overruns() const { return 0; }
};

struct Ports {
  std::unique_ptr<Port> client, server;
};

}  // namespace mvfstrl
