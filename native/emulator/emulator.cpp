#include "emulator/emulator.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace mvfstrl {
namespace {

// epoll hands back a word: the path's address, and its side in the lowest bit.
static_assert(alignof(EmulatedPath) > 1);
constexpr std::uint64_t kTimerTag = 0;
constexpr std::uint64_t kTaskTag = 1;

std::uint64_t tag_of(const EmulatedPath* path, EmulatedPath::Side side) {
  return reinterpret_cast<std::uintptr_t>(path) | static_cast<std::uint64_t>(side);
}

// A host that is busy with other things is late by whole time slices. Where we may, go before them, and
// before the rest of a process that does.
bool prioritise(pthread_t thread) {
  int policy = SCHED_OTHER;
  sched_param parameters{};
  pthread_getschedparam(thread, &policy, &parameters);
  const int own = policy == SCHED_OTHER ? 0 : parameters.sched_priority;
  parameters.sched_priority = std::min(own + 1, sched_get_priority_max(SCHED_RR));
  return pthread_setschedparam(thread, SCHED_RR, &parameters) == 0;
}

void drain(int fd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto size = read(fd, &count, sizeof(count));
}

}  // namespace

Emulator::Emulator()
    : epoll_(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create"),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd") {
  watch(timer_.get(), kTimerTag);
  watch(wake_.get(), kTaskTag);
  thread_ = std::thread(&Emulator::run, this);
  pthread_setname_np(thread_.native_handle(), "emulator");
  has_priority_ = prioritise(thread_.native_handle());
}

void Emulator::watch(int fd, std::uint64_t tag) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw_errno("epoll_ctl");
}

EmulatedPath* Emulator::add(const EmulatedPathConfig& config, Ports ports) {
  return with([&] {
    auto path = std::make_unique<EmulatedPath>(config, std::move(ports), pool_);
    for (const auto side : {EmulatedPath::Side::kClient, EmulatedPath::Side::kServer}) {
      watch(path->fd(side), tag_of(path.get(), side));
    }
    paths_.push_back(std::move(path));
    events_.resize(kOwnEvents + 2 * paths_.size());
    return paths_.back().get();
  });
}

PathReport Emulator::remove(EmulatedPath* path) {
  return with([&] {
    const auto held =
        std::find_if(paths_.begin(), paths_.end(), [&](const auto& p) { return p.get() == path; });
    const std::unique_ptr<EmulatedPath> removed = std::move(*held);
    paths_.erase(held);
    return removed->report(monotonic_now());
  });
}

void Emulator::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (!open_) throw std::runtime_error("the emulator is closed");
    tasks_.push_back(std::move(task));
  }
  wake();
}

void Emulator::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto size = ::write(wake_.get(), &one, sizeof(one));
}

void Emulator::close() {
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return;
    open_ = false;
    tasks_.emplace_back([this] {
      paths_.clear();
      running_ = false;
    });
  }
  wake();
  thread_.join();
}

void Emulator::run_tasks() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

TimePoint Emulator::next_event() const {
  TimePoint next = TimePoint::never();
  for (const auto& path : paths_) next = std::min(next, path->next_event());
  return next;
}

void Emulator::arm(TimePoint next) {
  if (next == armed_) return;
  armed_ = next;
  itimerspec spec{};
  if (!next.is_never()) {
    spec.it_value = {.tv_sec = next.ns() / 1'000'000'000, .tv_nsec = next.ns() % 1'000'000'000};
  }
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Emulator::rest() {
  const TimePoint until = clock_.now() + kRest;
  if (until <= monotonic_now()) return;
  const timespec wake{.tv_sec = until.ns() / 1'000'000'000, .tv_nsec = until.ns() % 1'000'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, nullptr);
}

int Emulator::wait() {
  const auto size = static_cast<int>(events_.size());
  const TimePoint next = next_event();
  if (next > monotonic_now()) {
    arm(next);
    epoll_wait(epoll_.get(), events_.data(), size, -1);
  }
  // Looked at once more after the clock: whatever came by then has been read when something is done at that
  // time.
  clock_.refresh();
  return std::max(0, epoll_wait(epoll_.get(), events_.data(), size, 0));
}

void Emulator::serve(std::uint64_t tag) {
  if (tag == kTimerTag) {
    drain(timer_.get());
    armed_ = TimePoint::never();
  } else if (tag != kTaskTag) {
    auto* path = reinterpret_cast<EmulatedPath*>(static_cast<std::uintptr_t>(tag & ~std::uint64_t{1}));
    path->receive(static_cast<EmulatedPath::Side>(tag & 1), clock_, arrivals_, departures_);
  }
}

void Emulator::run() {
  prctl(PR_SET_TIMERSLACK, 1);  // ns: sleep no longer than asked for
  while (running_) {
    rest();
    const int count = wait();
    bool tasks = false;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      serve(events_[i].data.u64);
      tasks |= events_[i].data.u64 == kTaskTag;
    }
    for (const auto& path : paths_) path->deliver(clock_.now(), departures_);
    if (tasks) {
      drain(wake_.get());
      run_tasks();
    }
  }
}

}  // namespace mvfstrl
