// Threads that run jobs in the order in which they were submitted.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mvfstrl {

class WorkerPool {
 public:
  explicit WorkerPool(int threads);
  ~WorkerPool() { close(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Jobs must not throw.
  void submit(std::function<void()> job);
  // Forgets jobs that have not begun, waits for those that have. Idempotent.
  void close();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mvfstrl
