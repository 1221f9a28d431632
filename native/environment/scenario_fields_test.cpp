// Changing paths as the configuration gives them: the key that a bad value's error begins with.
#include <gtest/gtest.h>

#include <string>

#include "environment/config_io.h"

namespace mvfstrl {
namespace {

// The default configuration whose uplink is of `kind`, with one field replaced.
Value uplink(const std::string& kind, const std::string& key, Value replacement) {
  Value config = default_config();
  Value link = *default_alternatives().find("rate")->find(kind);
  EXPECT_NE(link.find(key), nullptr) << key;
  *link.find(key) = std::move(replacement);
  *config.find("scenarios")->as<Value::List>()->at(0).find("uplink") = std::move(link);
  return config;
}

Value scenario(const std::string& group, const std::string& key, Value replacement) {
  Value config = default_config();
  Value* found = config.find("scenarios")->as<Value::List>()->at(0).find(group);
  if (!key.empty()) found = found->find(key);
  *found = std::move(replacement);
  return config;
}

Value range(double low, double high, bool log = false) {
  return Value(Value::Map{{"low", low}, {"high", high}, {"log", log}});
}
Value list(std::initializer_list<double> numbers) {
  Value::List values;
  for (const double number : numbers) values.emplace_back(number);
  return Value(std::move(values));
}

std::string refusal(const Value& config) {
  try {
    parse_config(config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

void expect_refusal(const Value& config, const std::string& text) {
  EXPECT_EQ(refusal(config).substr(0, text.size()), text) << refusal(config);
}

TEST(ScenarioFields, BadLinksAreRefusedByTheirKey) {
  const std::string link = "scenarios[0].uplink";
  expect_refusal(uplink("steps", "factors", list({})), link + ".factors: must not be empty");
  expect_refusal(uplink("steps", "factors", list({1, 0})), link + ".factors[1]: must be positive, got 0");
  expect_refusal(uplink("steps", "every_ms", range(0, 5)), link + ".every_ms.low: must be positive");
  expect_refusal(uplink("sawtooth", "factor", Value(-1.0)), link + ".factor: must be positive");
  expect_refusal(uplink("sawtooth", "step_ms", Value(0.0)), link + ".step_ms: must be positive");
  expect_refusal(uplink("random_walk", "span", Value(0.5)), link + ".span: must be at least 1");
  expect_refusal(uplink("random_walk", "deviation", Value(-0.1)), link + ".deviation: must be zero or more");
  expect_refusal(uplink("satellite", "low_factor", Value(1.5)), link + ".high_factor: must not be below low");
  expect_refusal(uplink("satellite", "outage_ms", range(1, 15'000)), link + ".outage_ms: must be shorter");
  expect_refusal(uplink("wifi", "phy_mbps", list({})), link + ".phy_mbps: must not be empty");
  expect_refusal(uplink("wifi", "phy_mbps", list({3, 2})), link + ".phy_mbps: must rise");
  expect_refusal(uplink("wifi", "aggregate_packets", Value(std::int64_t{0})),
                 link + ".aggregate_packets: must be at least 1");
}

TEST(ScenarioFields, BadDisturbancesAreRefusedByTheirKey) {
  const std::string path = "scenarios[0]";
  expect_refusal(scenario("reordering", "probability", range(0, 1.5)),
                 path + ".reordering.probability.high: must be between 0 and 1");
  expect_refusal(scenario("reordering", "extra_ms", range(0, 1)),
                 path + ".reordering.extra_ms.low: must be positive");
  expect_refusal(scenario("duplication", "", range(-1, 0)),
                 path + ".duplication.low: must be between 0 and 1");
  expect_refusal(scenario("delay_variation", "step_ms", range(1, 2, true)),
                 path + ".delay_variation.step_ms.log: is not offered");
  expect_refusal(scenario("delay_variation", "jitter_ms", range(-1, 2)),
                 path + ".delay_variation.jitter_ms.low: must be zero or more");
  expect_refusal(scenario("delay_variation", "every_ms", range(0, 2)),
                 path + ".delay_variation.every_ms.low: must be positive");
}

}  // namespace
}  // namespace mvfstrl
