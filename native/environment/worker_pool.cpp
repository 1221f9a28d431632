#include "environment/worker_pool.h"

#include <algorithm>
#include <utility>

namespace mvfstrl {

WorkerPool::WorkerPool(int threads) {
  threads_.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

void WorkerPool::submit(Range& range) {
  {
    const std::lock_guard lock(mutex_);
    range.next_ = 0;
    range.pending_ = range.size_;
    ranges_.push(&range);
  }
  if (range.size_ > range.piece_) {
    wake_.notify_all();
  } else {
    wake_.notify_one();
  }
}

bool WorkerPool::wait(const Range& range) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return closed_ || range.pending_ == 0; });
  return !closed_;
}

void WorkerPool::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  done_.notify_all();
}

// One lock a piece: it accounts for the last one and takes the next.
void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return closed_ || !ranges_.empty(); });
    if (closed_) return;
    Range& range = *ranges_.front();
    const std::int32_t begin = range.next_;
    const std::int32_t end = std::min(begin + range.piece_, range.size_);
    range.next_ = end;
    if (end == range.size_) ranges_.pop();
    lock.unlock();
    range.run_(begin, end);
    lock.lock();
    range.pending_ -= end - begin;
    if (range.pending_ == 0) done_.notify_all();
  }
}

}  // namespace mvfstrl
