// An event loop of folly's on a thread of its own.
#pragma once

#include <folly/io/async/EventBase.h>

#include <chrono>
#include <exception>
#include <string>
#include <thread>

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
    base_.runInEventBaseThreadAndWait([&] {
      try {
        f();
      } catch (...) {
        problem = std::current_exception();
      }
    });
    if (problem) std::rethrow_exception(problem);
  }

 private:
  folly::EventBase base_;
  std::thread thread_;
};

}  // namespace mvfstrl
