#include "environment/config_io.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace mvfstrl {
namespace {

// The default configuration with one entry replaced; `path` like "scenarios.0.uplink.mbps.low".
Value* at(Value& value, const std::string& path) {
  Value* node = &value;
  std::size_t begin = 0;
  while (node != nullptr && begin <= path.size()) {
    const std::size_t dot = std::min(path.find('.', begin), path.size());
    const std::string key = path.substr(begin, dot - begin);
    if (auto* list = node->as<Value::List>()) {
      node = &list->at(std::stoul(key));
    } else {
      node = node->find(key);
    }
    begin = dot + 1;
  }
  return node;
}

Value set(Value config, const std::string& path, Value replacement) {
  Value* node = at(config, path);
  EXPECT_NE(node, nullptr) << path;
  *node = std::move(replacement);
  return config;
}

Value with(const std::string& path, Value replacement) {
  return set(default_config(), path, std::move(replacement));
}

std::string refusal(const Value& config) {
  try {
    parse_config(config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ConfigIo, DefaultsSurviveTheRoundTrip) {
  const EnvironmentConfig parsed = parse_config(default_config());
  EXPECT_EQ(parsed.episode, Duration::from_ms(30'000));
  EXPECT_EQ(parsed.scenarios.size(), 1U);
  EXPECT_EQ(parsed.transport.ack_threshold, TransportConfig{}.ack_threshold);
  EXPECT_EQ(parsed.transport.max_ack_delay, TransportConfig{}.max_ack_delay);
  EXPECT_EQ(parsed.scenarios[0].queue.packets->high, 100);
  EXPECT_EQ(parsed.actions.list, ActionConfig{}.list);
}

TEST(ConfigIo, UnitsAreThoseOfTheKey) {
  Value config = with("episode_ms", Value(1500.5));
  *at(config, "transport") =
      Value(Value::Map{{"window", Value(Value::Map{{"packet_size_bytes", Value(std::int64_t{1400})}})}});
  const EnvironmentConfig parsed = parse_config(config);
  EXPECT_EQ(parsed.episode, Duration::from_us(1'500'500));
  EXPECT_EQ(parsed.transport.window.packet_size, ByteCount(1400));
  EXPECT_EQ(parsed.transport.window.initial_packets, 10) << "knobs left out keep their defaults";
}

TEST(ConfigIo, EveryAlternativeParses) {
  const Value alternatives = default_alternatives();
  const auto each = [&](const char* group, const std::string& path, const std::function<void(Value&)>& fix) {
    for (const auto& [kind, defaults] : *alternatives.find(group)->as<Value::Map>()) {
      Value config = with(path, defaults);
      fix(*at(config, path));
      EXPECT_EQ(refusal(config), "accepted") << group << " " << kind;
    }
  };
  const auto as_is = [](Value&) {};
  each("rate", "scenarios.0.uplink", as_is);
  each("controller", "flows.0.controller", as_is);
  each("app", "flows.0.app", as_is);
  each("reward", "reward", as_is);
  each("action_delay", "action_delay", as_is);
}

TEST(ConfigIo, ErrorsNameTheDottedKey) {
  EXPECT_EQ(refusal(with("scenarios.0.uplink.mbps.low", Value(-3.0))),
            "scenarios[0].uplink.mbps.low: must be positive, got -3");
  EXPECT_EQ(refusal(with("scenarios.0.delay_ms.low", Value(std::int64_t{0}))),
            "scenarios[0].delay_ms.low: must be positive, got 0");
  EXPECT_EQ(refusal(with("observation.history", Value(std::int64_t{0}))),
            "observation.history: must be at least 1, got 0");
  EXPECT_EQ(refusal(with("observation.window_ms", Value(0.0))),
            "observation.window_ms: must be positive, got 0");
  EXPECT_EQ(refusal(with("episode_ms", Value("long"))), "episode_ms: must be a number, got 'long'");
  EXPECT_EQ(refusal(with("scenarios.0.loss.high", Value(1.5))),
            "scenarios[0].loss.high: must be between 0 and 1, got 1.5");
  Value bursts =
      with("flows.0.app", Value(Value::Map{{"kind", Value("on_off")}, {"rate_mbps", Value(1e300)}}));
  EXPECT_EQ(refusal(bursts), "flows[0].app.rate_mbps: must be between 0 and 100000, got 1e+300");
  EXPECT_TRUE(refusal(with("flows.0.controller.kind", Value("quic")))
                  .starts_with("flows[0].controller.kind: unknown choice 'quic', known are external, "));
}

TEST(ConfigIo, MissingAndUnknownKeys) {
  Value config = default_config();
  auto& top = *config.as<Value::Map>();
  std::erase_if(top, [](const auto& entry) { return entry.first == "episode_ms"; });
  EXPECT_EQ(refusal(config), "episode_ms: missing key");
  top.emplace_back("episode_mss", 1.0);
  EXPECT_EQ(refusal(config), "episode_mss: unknown key, did you mean 'episode_ms'?");
  config = default_config();
  at(config, "scenarios.0.queue")->as<Value::Map>()->emplace_back("colour", "red");
  EXPECT_EQ(refusal(config), "scenarios[0].queue.colour: unknown key");
}

TEST(ConfigIo, ChecksAcrossFields) {
  EXPECT_EQ(refusal(with("scenarios", Value(Value::List{}))), "scenarios: must not be empty");
  EXPECT_EQ(refusal(with("flows", Value(Value::List{}))), "flows: must not be empty");
  EXPECT_EQ(refusal(with("scenarios.0.weight", Value(0.0))), "scenarios: need one with a weight above zero");
  EXPECT_EQ(refusal(with("scenarios.0.queue.packets", Value())),
            "scenarios[0].queue: needs a limit: packets, bytes or bdp");
  EXPECT_EQ(refusal(with("scenarios.0.uplink.mbps.high", Value(1.0))),
            "scenarios[0].uplink.mbps: high is below low");
  Value two = default_config();
  auto& scenarios = *at(two, "scenarios")->as<Value::List>();
  scenarios.push_back(scenarios[0]);
  EXPECT_EQ(refusal(two), "scenarios[1].name: 'default' is the name of an earlier scenario");
  Value flows = default_config();
  auto& list = *at(flows, "flows")->as<Value::List>();
  list.push_back(list[0]);
  EXPECT_EQ(parse_config(flows).flows.size(), 2U) << "several agents";
}

TEST(ConfigIo, CrossTraffic) {
  const Value kinds = *default_alternatives().find("cross_traffic");
  Value good = default_config();
  *at(good, "cross_traffic") = Value(Value::List{*kinds.find("constant"), *kinds.find("poisson_flows")});
  EXPECT_EQ(parse_config(good).cross_traffic.size(), 2U);
  EXPECT_EQ(refusal(set(good, "cross_traffic.0.stop_ms", Value(0.0))),
            "cross_traffic[0].stop_ms: must be positive, got 0");
  EXPECT_EQ(
      refusal(set(set(good, "cross_traffic.0.start_ms", Value(9.0)), "cross_traffic.0.stop_ms", Value(8.0))),
      "cross_traffic[0].stop_ms: must be after start_ms");
  EXPECT_EQ(refusal(set(good, "cross_traffic.1.pareto_shape", Value(1.0))),
            "cross_traffic[1].pareto_shape: must be above 1");
  for (const char* kind : {"external", "random", "mvfst_cubic"}) {
    EXPECT_EQ(refusal(set(good, "cross_traffic.1.controller", Value(Value::Map{{"kind", kind}}))),
              "cross_traffic[1].controller.kind: must be a classic controller");
  }
}

TEST(ConfigIo, AWholeNumberMayBeWrittenAsAFloat) {
  EXPECT_EQ(parse_config(with("observation.history", Value(5.0))).observation.history, 5);
  EXPECT_EQ(refusal(with("observation.history", Value(5.5))),
            "observation.history: must be an integer, got 5.5");
}

}  // namespace
}  // namespace mvfstrl
