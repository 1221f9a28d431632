// Many emulated paths under the real clock, driven by one thread of their own. Everything that a path is
// belongs to that thread: what others ask for is done there, between two rounds of the loop, so no packet
// meets a lock.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "common/units.h"
#include "emulator/clock.h"
#include "emulator/datagram_pool.h"
#include "emulator/descriptor.h"
#include "emulator/emulated_path.h"
#include "emulator/receive_batch.h"
#include "emulator/send_batch.h"

namespace mvfstrl {

class Emulator {
 public:
  // Throws std::system_error.
  Emulator();
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;
  ~Emulator() { close(); }

  // From any thread; they wait for the loop. Throw std::runtime_error once the emulator is closed, and what
  // the path throws. A path is the emulator's and lives until it is removed; it is not to be touched outside
  // of with().
  EmulatedPath* add(const EmulatedPathConfig& config, Ports ports);
  // Returns the path's last report.
  PathReport remove(EmulatedPath* path);
  // Calls `action` in the loop's thread.
  template <class Action>
  auto with(Action action) {
    auto task = std::make_shared<std::packaged_task<std::invoke_result_t<Action>()>>(std::move(action));
    auto result = task->get_future();
    post([task] { (*task)(); });
    return result.get();
  }

  // Whether the loop goes before the host's other work (SCHED_RR), which takes root or CAP_SYS_NICE.
  bool has_priority() const { return has_priority_; }

  // Ends the loop and all paths. Idempotent.
  void close();

 private:
  // 256 MB of datagrams, over all paths.
  static constexpr std::size_t kDatagrams = 1 << 17;
  // Rounds of the loop begin at least so far apart: each costs some system calls, whether it moves one
  // datagram or many, and arrivals lose nothing by waiting, as the kernel stamps them.
  static constexpr Duration kRest = Duration::from_us(100);
  // The timer and the tasks.
  static constexpr std::size_t kOwnEvents = 2;

  void post(std::function<void()> task);
  void wake();
  void watch(int fd, std::uint64_t tag);
  void run();
  void run_tasks();
  void rest();
  // Waits until something is to be done; returns how many entries of events_ say what.
  int wait();
  void serve(std::uint64_t tag);
  void arm(TimePoint next);
  TimePoint next_event() const;

  Descriptor epoll_, timer_, wake_;
  std::mutex mutex_;  // guards the next two
  std::vector<std::function<void()>> tasks_;
  bool open_ = true;
  bool has_priority_ = false;  // set once, at the start

  // The loop's own.
  bool running_ = true;
  StampClock clock_;
  std::vector<epoll_event> events_{kOwnEvents};
  TimePoint armed_ = TimePoint::never();
  DatagramPool pool_{kDatagrams};
  ReceiveBatch arrivals_{pool_};
  SendBatch departures_;
  std::vector<std::unique_ptr<EmulatedPath>> paths_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mvfstrl
