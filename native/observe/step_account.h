// Which windows make up a step, and what the steps of one episode earn: the same for an agent in virtual time
// (environment/agent.h) and for one that drives a real connection (host/session.h).
//
// What comes before the first observation is nobody's merit. A window that closes while an answer is
// outstanding is skipped: nobody is asked, it is counted, and its reward is added to the step under way.
#pragma once

#include <cstdint>

#include "observe/reward.h"

namespace mvfstrl {

// What an agent is told when a round ends.
struct StepResult {
  double reward = 0;
  bool terminated = false;   // the flow's transfer is complete
  bool truncated = false;    // the flow stopped, or the episode's length is reached
  std::int32_t skipped = 0;  // windows that closed while the answer was outstanding
  bool first = false;        // its first observation
  bool active = false;       // it has an observation, to be answered unless the episode is over for it
};

class StepAccount {
 public:
  void begin_step() { result_ = StepResult{}; }

  enum class Close : std::uint8_t { kFirst, kSkipped, kStep };
  // Books a closed window. `over`: the agent will have no other; `complete`: because its transfer is.
  Close close(const RewardTerms& reward, bool outstanding, bool over, bool complete) {
    if (!met_) {
      met_ = true;
      result_.first = result_.active = true;
      return Close::kFirst;
    }
    result_.reward += reward.sum();
    return_terms_ += reward;
    if (outstanding && !over) {
      ++result_.skipped;
      return Close::kSkipped;
    }
    result_.active = true;
    result_.terminated = complete;
    result_.truncated = over && !complete;
    ++steps_;
    skipped_ += result_.skipped;
    return_ += result_.reward;
    return Close::kStep;
  }
  // The first observation is the last as well.
  void truncate() { result_.truncated = true; }

  bool met() const { return met_; }  // has had its first observation
  const StepResult& result() const { return result_; }

  // Over the episode.
  std::int64_t steps() const { return steps_; }
  std::int64_t skipped() const { return skipped_; }
  double episode_return() const { return return_; }
  // The same, term by term.
  const RewardTerms& return_terms() const { return return_terms_; }

 private:
  bool met_ = false;
  StepResult result_;
  std::int64_t steps_ = 0;
  std::int64_t skipped_ = 0;
  double return_ = 0;
  RewardTerms return_terms_;
};

}  // namespace mvfstrl
