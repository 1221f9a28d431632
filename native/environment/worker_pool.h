// Threads that work off ranges of indices: ranges in the order in which they were submitted, each in pieces
// that the threads take one after another.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "common/ring.h"

namespace mvfstrl {

class WorkerPool {
 public:
  // Must not throw.
  using Run = std::function<void(std::int32_t begin, std::int32_t end)>;

  // Work that is done over and over: submit(), wait(), submit() and so on. Owned by the caller, and must stay
  // where it is until the pool is closed.
  class Range {
   public:
    // Indices 0 to size, `piece` of them at a time.
    void assign(Run run, std::int32_t size, std::int32_t piece) {
      run_ = std::move(run);
      size_ = size;
      piece_ = piece;
    }

   private:
    friend WorkerPool;
    Run run_;
    std::int32_t size_ = 0;
    std::int32_t piece_ = 1;
    std::int32_t next_ = 0;     // first index that nobody has taken; guarded by the pool's mutex, as below
    std::int32_t pending_ = 0;  // indices not done
  };

  explicit WorkerPool(int threads);
  ~WorkerPool() { close(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void submit(Range& range);
  // Until all of a submitted range is done. False if the pool was closed meanwhile.
  bool wait(const Range& range);
  // Forgets what no thread has taken, waits for what one has. Idempotent.
  void close();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Ring<Range*> ranges_;  // of which something is still to be taken
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mvfstrl
