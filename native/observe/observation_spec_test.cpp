#include "observe/observation_spec.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "observe/fields.h"

namespace mvfstrl {
namespace {

ObservationSpec spec_of(const ObservationConfig& observation = {}, const ActionConfig& actions = {},
                        const RewardConfig& reward = {}) {
  return make_observation_spec(observation, actions, reward);
}

TEST(Fields, AreTwentyOfWhichTenAreLevels) {
  int levels = 0;
  for (const FieldInfo& field : kFields) levels += field.kind == FieldKind::kLevel ? 1 : 0;
  EXPECT_EQ(levels, 10);
  EXPECT_EQ(field_info(Field::kRttMin).name, "rtt_min");
  EXPECT_EQ(field_info(Field::kDelay).name, "delay");
  EXPECT_EQ(field_info(Field::kSent).name, "sent");
  EXPECT_EQ(field_info(Field::kPtoCount).name, "pto_count");
  EXPECT_EQ(field_info(Field::kThroughput).name, "throughput");
  EXPECT_EQ(field_info(Field::kPersistentCongestion).name, "persistent_congestion");
}

TEST(ObservationSpec, NamesEveryElementOnceInOrder) {
  const ObservationSpec spec = spec_of();
  ASSERT_EQ(spec.elements.size(), 1U + 90 + 20 * 6);
  EXPECT_EQ(spec.elements[0].name, "no_events");
  EXPECT_EQ(spec.elements[1].name, "rtt_min.mean");
  EXPECT_EQ(spec.elements[1].unit, "100 ms");
  EXPECT_EQ(spec.elements[4].name, "rtt_min.max");
  EXPECT_EQ(spec.elements[37].name, "sent.sum");
  EXPECT_EQ(spec.elements[90].name, "persistent_congestion.max");
  EXPECT_EQ(spec.elements[91].name, "past1.action[0]");
  EXPECT_EQ(spec.elements[95].name, "past1.action[*2]");
  EXPECT_EQ(spec.elements[96].name, "past1.window");
  EXPECT_EQ(spec.elements.back().name, "past20.window");
  std::set<std::string> names;
  for (const ObservationElement& element : spec.elements) {
    EXPECT_TRUE(names.insert(element.name).second) << element.name;
    EXPECT_LT(element.low, element.high) << element.name;
  }
  EXPECT_EQ(spec.reward, "log_ratio");
  EXPECT_FALSE(spec.pacing);
  EXPECT_EQ(spec.window, "100 ms");
}

TEST(ObservationSpec, TheHashIsPinned) {
  // A change here breaks every checkpoint: it must be meant, and named in the changelog.
  EXPECT_EQ(spec_hash(spec_of()), 4871614522212172350ULL);
}

TEST(ObservationSpec, TheHashSeesEveryPart) {
  const std::uint64_t base = spec_hash(spec_of());
  EXPECT_EQ(spec_hash(spec_of()), base);
  std::set<std::uint64_t> hashes{base};
  const auto differs = [&hashes](const ObservationSpec& spec) {
    EXPECT_TRUE(hashes.insert(spec_hash(spec)).second);
  };
  ObservationConfig observation;
  observation.history = 19;
  differs(spec_of(observation));
  observation = ObservationConfig{};
  observation.window = Duration::from_ms(50);
  differs(spec_of(observation));
  observation.window_kind = WindowKind::kCount;
  differs(spec_of(observation));
  ActionConfig actions;
  actions.list[2] = "-11";
  differs(spec_of({}, actions));
  actions = ActionConfig{};
  actions.pacing = true;
  differs(spec_of({}, actions));
  EXPECT_NE(spec_difference(spec_of(), spec_of({}, actions)).find("pacing: expected false, found true"),
            std::string::npos);
  differs(spec_of({}, {}, LinearReward{}));
  ObservationSpec spec = spec_of();
  spec.version += 1;
  differs(spec);
  spec = spec_of();
  spec.elements[5].high *= 2;
  differs(spec);
  spec = spec_of();
  spec.elements[5].unit = "ms";
  differs(spec);
  spec = spec_of();
  std::swap(spec.elements[5], spec.elements[6]);
  differs(spec);
  spec = spec_of();
  spec.dtype = "float16";
  differs(spec);
}

TEST(ObservationSpec, EqualSpecsHaveNoDifference) { EXPECT_EQ(spec_difference(spec_of(), spec_of()), ""); }

TEST(ObservationSpec, DifferencesAreReadable) {
  ObservationConfig shorter;
  shorter.history = 19;
  shorter.window = Duration::from_ms(50);
  ActionConfig actions;
  EXPECT_EQ(spec_difference(spec_of(), spec_of(shorter, {}, LinearReward{})),
            "window: expected 100 ms, found 50 ms\n"
            "reward: expected log_ratio, found linear\n"
            "observation size: expected 211, found 205\n"
            "missing elements: past20.action[0], past20.action[/2], past20.action[-10], past20.action[+10], "
            "past20.action[*2], past20.window\n");
  actions.list = {"0", "*2"};
  const std::string report = spec_difference(spec_of(), spec_of({}, actions));
  EXPECT_NE(report.find("actions: expected [0, /2, -10, +10, *2], found [0, *2]\n"), std::string::npos)
      << report;
  EXPECT_NE(report.find(" and 54 more\n"), std::string::npos) << report;
  EXPECT_NE(spec_difference(spec_of({}, actions), spec_of()).find("unexpected elements: past1.action[/2], "),
            std::string::npos);

  ObservationSpec changed = spec_of();
  changed.elements[1].high = 2.5F;
  EXPECT_EQ(spec_difference(spec_of(), changed),
            "rtt_min.mean: expected [0, 1000] in 100 ms, found [0, 2.5] in 100 ms\n");
  changed = spec_of();
  std::swap(changed.elements[1], changed.elements[2]);
  EXPECT_EQ(spec_difference(spec_of(), changed),
            "order: element 1 expected rtt_min.mean, found rtt_min.std\n");
  changed = spec_of();
  changed.version = 2;
  changed.dtype = "float64";
  EXPECT_EQ(spec_difference(spec_of(), changed),
            "version: expected 1, found 2\ndtype: expected float32, found float64\n");
}

TEST(ObservationSpec, ABadConfigurationIsRefused) {
  ObservationConfig observation;
  observation.history = 0;
  EXPECT_THROW(spec_of(observation), std::invalid_argument);
  ActionConfig actions;
  actions.list = {"*2"};
  EXPECT_THROW(spec_of({}, actions), std::invalid_argument);
  PowerReward reward;
  reward.throughput_exponent = 0;
  EXPECT_THROW(spec_of({}, {}, reward), std::invalid_argument);
}

}  // namespace
}  // namespace mvfstrl
