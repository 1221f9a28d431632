// An event loop of folly's on a thread of its own.
#pragma once

#include <folly/io/async/EventBase.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <utility>

namespace mvfstrl {

class EventLoop {
 public:
  // `tick`: of its timers.
  EventLoop(const std::string& name, std::chrono::milliseconds tick) : base_(tick) {
    base_.setName(name);
    thread_ = std::thread([this] { base_.loopForever(); });
    base_.waitUntilRunning();
  }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop() {
    base_.terminateLoopSoon();
    thread_.join();
  }

  folly::EventBase& base() { return base_; }
  // Runs it there, and waits. What it throws is thrown here.
  template <class F>
  void run(F&& f) {
    std::exception_ptr problem;
    hand_over();
    base_.runInEventBaseThreadAndWait([&] {
      take_over();
      try {
        f();
      } catch (...) {
        problem = std::current_exception();
      }
      hand_over();
    });
    take_over();
    if (problem) std::rethrow_exception(problem);
  }
  // Runs it there, some time.
  template <class F>
  void post(F&& f) {
    hand_over();
    base_.runInEventBaseThread([this, f = std::forward<F>(f)] {
      take_over();
      f();
    });
  }

 private:
  // folly's queue orders what happens before a call and in it. These say the same to the thread sanitizer,
  // which does not see into a folly that was built without it.
  void hand_over() { turn_.fetch_add(1, std::memory_order_release); }
  void take_over() { (void)turn_.load(std::memory_order_acquire); }

  std::atomic<unsigned> turn_{0};
  folly::EventBase base_;
  std::thread thread_;
};

}  // namespace mvfstrl
