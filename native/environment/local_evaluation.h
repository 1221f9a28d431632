// Episodes that an exported policy drives from their first window to their last without leaving C++: the
// other way to the reports that VectorEnvironment gives. Every agent's flow has a policy memory of its own
// and, unless it is switched off, a guard (policy/guard.h); what comes out does not depend on the number of
// threads.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "environment/environment.h"
#include "policy/policy.h"

namespace mvfstrl {

struct LocalEpisode {
  std::uint64_t seed = 0;
  std::int32_t scenario = 0;  // index
};

struct LocalOptions {
  std::int32_t num_threads = 1;
  bool record_series = false;
  bool record_events = false;
  GuardConfig guard = {};
  // By scenario, the index that it had in the policy's training, -1 for none. Empty: none has.
  std::vector<std::int32_t> jobs = {};
};

struct LocalProgress {
  std::int64_t episodes = 0;   // that are done
  std::int64_t decisions = 0;  // made so far
};

class LocalEvaluation {
 public:
  // Begins at once. Throws std::invalid_argument naming the bad option or configuration item, PolicyFileError
  // with the difference for a policy that saw or did anything else than the environment offers.
  LocalEvaluation(EnvironmentConfig config, std::shared_ptr<const PolicyModel> model,
                  std::vector<LocalEpisode> episodes, const LocalOptions& options);
  LocalEvaluation(const LocalEvaluation&) = delete;
  LocalEvaluation& operator=(const LocalEvaluation&) = delete;
  // Ends what is not done.
  ~LocalEvaluation();

  // Until all is done, or one episode failed; false if that takes longer.
  bool wait_for(std::chrono::milliseconds patience);
  LocalProgress progress() const;
  // To be called when wait_for() was true, once: a report an episode, in their order. Throws
  // std::runtime_error naming the episode if one failed.
  std::vector<EpisodeReport> reports();

 private:
  struct Seat {  // of one agent
    std::unique_ptr<Policy> policy;
    bool asked = false;  // the policy, rather than a classic controller, drives its flow
    std::vector<float> observation;
  };

  void work();
  std::vector<Seat> seats(const Environment& environment) const;
  EpisodeReport play(Environment& environment, std::vector<Seat>& seats, std::size_t number);
  static std::int32_t decide(const Agent& agent, Seat& seat);

  EnvironmentShared shared_;
  std::shared_ptr<const PolicyModel> model_;
  std::vector<LocalEpisode> episodes_;
  LocalOptions options_;
  std::vector<EpisodeReport> reports_;  // each written by one thread

  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::int64_t> done_ = 0;
  std::atomic<std::int64_t> decisions_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int32_t working_ = 0;  // threads; guarded by mutex_, as below
  std::size_t failed_episode_ = 0;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;  // last: they use all of the above
};

}  // namespace mvfstrl
