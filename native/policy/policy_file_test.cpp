#include "policy/policy_file.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <cstring>
#include <limits>

#include "common/rng.h"
#include "policy/policy.h"
#include "policy/test_network.h"

namespace mvfstrl {
namespace {

using test::random_policy;

PolicyFile example(Precision precision = Precision::kFloat32) {
  PolicyFile file =
      random_policy({.job_inputs = 2, .layers = 2, .hidden_size = 9, .lstm_layers = 2}, precision,
                    {.window = Duration::from_ms(50), .window_events = 7, .history = 3});
  file.description.actions = {.list = {"0", "/2", "-10", "+10", "*2"},
                              .initial_window_packets = 12,
                              .min_window_packets = 3,
                              .max_window_packets = 77,
                              .pacing = true};
  file.description.reward = "log_power";
  return file;
}

// CRC-32 a bit at a time.
std::uint32_t plain_crc(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

// `bytes` with its size and checksum made right again.
std::string sealed(std::string bytes) {
  const std::uint64_t size = bytes.size();
  std::memcpy(bytes.data() + 12, &size, sizeof(size));
  const std::uint32_t crc = plain_crc(std::string_view(bytes).substr(0, bytes.size() - 4));
  std::memcpy(bytes.data() + bytes.size() - 4, &crc, sizeof(crc));
  return bytes;
}

std::string replaced(std::string bytes, std::string_view what, std::string_view by,
                     std::size_t occurrence = 0) {
  std::size_t at = bytes.find(what);
  while (occurrence-- > 0) at = bytes.find(what, at + 1);
  EXPECT_NE(at, std::string::npos) << what;
  return bytes.replace(at, what.size(), by);
}

std::string error_of(const std::string& bytes) {
  try {
    decode_policy(bytes, "policy.mvfstrl");
  } catch (const PolicyFileError& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void expect_same_weights(const PolicyFile& file, const PolicyFile& found) {
  std::vector<std::vector<float>> expected = {file.weights.mean, file.weights.scale},
                                  got = {found.weights.mean, found.weights.scale};
  std::vector<Precision> precisions, got_precisions;
  const auto collect = [](std::vector<std::vector<float>>& values, std::vector<Precision>& of,
                          const PolicyFile& from) {
    visit_layers(
        from.description.network, from.weights,
        [&](const auto&, const Matrix& matrix, std::size_t) {
          values.push_back(matrix.values);
          of.push_back(matrix.precision);
        },
        [&](const auto&, const std::vector<float>& vector, std::size_t) { values.push_back(vector); });
  };
  collect(expected, precisions, file);
  collect(got, got_precisions, found);
  EXPECT_EQ(got, expected);
  EXPECT_EQ(got_precisions, precisions);
}

TEST(PolicyFile, GivesBackEveryFieldThatItWasGiven) {
  for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16}) {
    PolicyFile file = example(precision);
    const PolicyFile found = decode_policy(encode_policy(file), "policy.mvfstrl");
    const PolicyDescription& d = found.description;
    EXPECT_EQ(d.network, file.description.network);
    EXPECT_EQ(d.observation.window_kind, WindowKind::kTime);
    EXPECT_EQ(d.observation.window, Duration::from_ms(50));
    EXPECT_EQ(d.observation.window_events, 7);
    EXPECT_EQ(d.observation.history, 3);
    EXPECT_EQ(d.actions.list, file.description.actions.list);
    EXPECT_EQ(d.actions.initial_window_packets, 12);
    EXPECT_EQ(d.actions.min_window_packets, 3);
    EXPECT_EQ(d.actions.max_window_packets, 77);
    EXPECT_TRUE(d.actions.pacing);
    EXPECT_EQ(d.reward, "log_power");
    EXPECT_EQ(d.spec, make_observation_spec(d.observation, d.actions, LogPowerReward{}));
    EXPECT_EQ(d.text, file.description.text);
    expect_same_weights(file, found);
    EXPECT_EQ(found.weights.precision(), precision);
    EXPECT_EQ(encode_policy(found), encode_policy(file));
  }
  PolicyFile counted = example();
  counted.description.observation.window_kind = WindowKind::kCount;
  EXPECT_EQ(decode_policy(encode_policy(counted), "").description.observation.window_kind,
            WindowKind::kCount);
}

TEST(PolicyFile, IsReadFromDiskAndAppearsWhole) {
  const std::string path = testing::TempDir() + "/policy.mvfstrl";
  write_policy_file(path, example());
  expect_same_weights(example(), read_policy_file(path));
  EXPECT_EQ(PolicyModel::load(path)->description().text, example().description.text);
  EXPECT_EQ(std::fopen((path + ".partial").c_str(), "rb"), nullptr);
  std::remove(path.c_str());
  try {
    read_policy_file(path);
    FAIL();
  } catch (const PolicyFileError& error) {
    EXPECT_EQ(error.what(), path + ": cannot be read: No such file or directory");
  }
  EXPECT_THROW(write_policy_file("/no/such/folder/policy.mvfstrl", example()), PolicyFileError);
}

TEST(PolicyFile, SaysThatItIsTornWhereverItEnds) {
  const std::string bytes = encode_policy(example());
  EXPECT_EQ(error_of(""), "policy.mvfstrl: not an exported policy (policy.mvfstrl)");
  for (std::size_t size = 1; size < bytes.size(); size += size < 2000 ? 1 : 97) {
    ASSERT_TRUE(contains(error_of(bytes.substr(0, size)), "policy.mvfstrl: torn: only ")) << size;
  }
}

TEST(PolicyFile, NoticesEachFlippedBit) {
  const std::string bytes = encode_policy(example());
  for (std::size_t at = 0; at < bytes.size(); at += at < 1000 ? 1 : 53) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    ASSERT_NE(error_of(damaged), "no error") << at;
  }
  std::string damaged = bytes;
  damaged[bytes.size() / 2] ^= 4;
  EXPECT_EQ(error_of(damaged), "policy.mvfstrl: damaged: its checksum does not match its content");
  EXPECT_EQ(error_of(bytes + '\0'), "policy.mvfstrl: damaged: its checksum does not match its content");
}

TEST(PolicyFile, RefusesWhatItDoesNotKnow) {
  const std::string bytes = encode_policy(example());
  std::string other = bytes;
  other[0] = 'm';
  EXPECT_EQ(error_of(other), "policy.mvfstrl: not an exported policy (policy.mvfstrl)");
  other = bytes;
  other[8] = 2;
  EXPECT_EQ(error_of(other),
            "policy.mvfstrl: has format version 2, this program reads 1: export the policy again");
  other = bytes;
  other[20 + 12] = 9;  // after the header, the section's name and its size
  EXPECT_EQ(error_of(sealed(other)),
            "policy.mvfstrl: section NETW describes an unknown network, kind 9 (this program knows 1)");
  EXPECT_TRUE(
      contains(error_of(sealed(replaced(bytes, "SPEC", "SPIC"))), "section SPEC is not where it belongs"));
  EXPECT_TRUE(
      contains(error_of(sealed(replaced(bytes, "log_power", "log_tower"))), "reward 'log_tower' is unknown"));
}

TEST(PolicyFile, RefusesAnotherSpecAndSaysWhatDiffers) {
  // As a file of a program in which an element has another name.
  PolicyFile file = example();
  const std::string bytes = encode_policy(file);
  ObservationSpec spec =
      make_observation_spec(file.description.observation, file.description.actions, LogPowerReward{});
  const std::uint64_t hash = spec_hash(spec);
  for (ObservationElement& element : spec.elements) {
    if (element.name == "rtt_min.mean") element.name = "rtt_max.mean";
  }
  const std::uint64_t other_hash = spec_hash(spec);
  std::string other = replaced(bytes, "rtt_min.mean", "rtt_max.mean");
  EXPECT_TRUE(contains(error_of(sealed(other)), "section SPEC has a spec whose hash is another's"));
  other = replaced(other, {reinterpret_cast<const char*>(&hash), 8},
                   {reinterpret_cast<const char*>(&other_hash), 8});
  EXPECT_EQ(error_of(sealed(other)),
            "policy.mvfstrl: made for another observation or action spec:\n"
            "missing elements: rtt_min.mean\nunexpected elements: rtt_max.mean\n");

  const PolicyDescription d = decode_policy(bytes, "").description;
  d.require_spec(d.spec, "policy.mvfstrl");
  try {
    d.require_spec(make_observation_spec({}, {}, LogRatioReward{}), "policy.mvfstrl");
    FAIL();
  } catch (const PolicyFileError& error) {
    EXPECT_TRUE(contains(error.what(), "reward: expected log_ratio, found log_power"));
  }
}

TEST(PolicyFile, RefusesToWriteWhatDoesNotFit) {
  const auto refuses = [](const auto& change) {
    PolicyFile file = example();
    change(file);
    EXPECT_THROW(encode_policy(file), std::invalid_argument);
  };
  refuses([](PolicyFile& file) { file.weights.mean.pop_back(); });
  refuses([](PolicyFile& file) { file.weights.torso.pop_back(); });
  refuses([](PolicyFile& file) { file.weights.lstm[1].recurrent.values.pop_back(); });
  refuses([](PolicyFile& file) { file.weights.head.bias.push_back(0); });
  refuses([](PolicyFile& file) { file.description.network.hidden_size = 0; });
  refuses([](PolicyFile& file) { file.description.reward = "happiness"; });
  refuses([](PolicyFile& file) { file.description.actions.list.push_back("*3"); });
  refuses([](PolicyFile& file) { file.description.observation.history = 4; });
  EXPECT_THROW(PolicyModel(PolicyFile{}, {}), std::invalid_argument);
}

// Whatever bytes a file holds, reading it ends with a policy or an error.
TEST(PolicyFile, SurvivesRandomDamage) {
  const std::string bytes = encode_policy(example(Precision::kBfloat16));
  Rng random(11);
  int accepted = 0;
  for (int round = 0; round < 3'000; ++round) {
    std::string mutated = bytes;
    const std::size_t reach = round % 2 == 0 ? mutated.size() : 400;  // half of them near the beginning
    for (std::uint64_t i = 0; i <= random.below(4); ++i) {
      const std::size_t at = 20 + random.below(reach - 60);
      const auto byte = static_cast<char>(random.below(256));
      switch (random.below(4)) {
        case 0:
          mutated[at] = byte;
          break;
        case 1:
          mutated[at] = static_cast<char>(random.bernoulli(0.5) ? 0x7f : 0);
          break;
        case 2:
          mutated.erase(at, random.below(9));
          break;
        default:
          mutated.insert(at, random.below(9), byte);
          break;
      }
    }
    accepted += error_of(sealed(mutated)) == "no error" ? 1 : 0;
  }
  EXPECT_GT(accepted, 0);  // a weight may be any number
  EXPECT_LT(accepted, 1'500);
}

TEST(Bfloat16, IsTheNearest) {
  Rng random(5);
  for (int i = 0; i < 10'000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random.next_u64()));
    const float rounded = round_to_bfloat16(value);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(rounded));
      continue;
    }
    const std::uint32_t low = std::bit_cast<std::uint32_t>(value) & 0xffff0000U;
    const double below = std::bit_cast<float>(low), above = std::bit_cast<float>(low + 0x10000);
    if (!std::isfinite(above)) continue;
    EXPECT_LE(std::abs(rounded - double{value}),
              std::min(std::abs(below - double{value}), std::abs(above - double{value})));
  }
  EXPECT_EQ(round_to_bfloat16(1.0F + 0x1p-8F), 1.0F);  // ties to even
  EXPECT_EQ(round_to_bfloat16(1.0F + 3 * 0x1p-8F), 1.0F + 0x1p-6F);
  EXPECT_TRUE(std::isnan(round_to_bfloat16(std::bit_cast<float>(0x7f800001U))));
}

}  // namespace
}  // namespace mvfstrl
