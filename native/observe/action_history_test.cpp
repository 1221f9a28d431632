#include "observe/action_history.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace mvfstrl {
namespace {

std::vector<float> written(const ActionHistory& history) {
  std::vector<float> out(history.size(), -1.0F);
  history.write(out);
  return out;
}

TEST(ActionHistory, StartsWithTheKeepActionAtTheInitialWindow) {
  ActionHistory history(2, 3);
  history.reset(ByteCount(12'520));
  EXPECT_EQ(written(history), (std::vector<float>{1, 0, 0, 12.52F, 1, 0, 0, 12.52F}));
}

TEST(ActionHistory, ShowsTheLatestActionFirstAndForgetsTheOldest) {
  ActionHistory history(3, 2);
  history.reset(ByteCount(1'000));
  history.push(1, ByteCount(2'000));
  EXPECT_EQ(written(history), (std::vector<float>{0, 1, 2, 1, 0, 1, 1, 0, 1}));
  history.push(0, ByteCount(3'000));
  history.push(1, ByteCount(4'000));
  history.push(0, ByteCount(5'000));
  EXPECT_EQ(written(history), (std::vector<float>{1, 0, 5, 0, 1, 4, 1, 0, 3}));
  history.reset(ByteCount(7'000));
  EXPECT_EQ(written(history), (std::vector<float>{1, 0, 7, 1, 0, 7, 1, 0, 7}));
}

TEST(ActionHistory, TheWindowIsClippedToItsBound) {
  ActionHistory history(1, 1);
  history.reset(ByteCount(1'000'000'000'000));
  EXPECT_EQ(written(history), (std::vector<float>{1, 1e5F}));
}

TEST(ActionHistory, RefusesAnEmptyHistory) {
  EXPECT_THROW(ActionHistory(0, 5), std::invalid_argument);
  EXPECT_THROW(ActionHistory(-1, 5), std::invalid_argument);
  EXPECT_THROW(ActionHistory(3, 0), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
