#include "tools/json_member.h"

#include <gtest/gtest.h>

namespace mvfstrl::tools {
namespace {

constexpr std::string_view kDocument = R"({
  "spec": {"jobs": ["not these"], "odd": "}, \"jobs\": 1"},
  "jobs": ["lte", "a, b"],
  "steps": 7
}
)";

TEST(JsonMember, IsFoundInTheOutermostObjectOnly) {
  EXPECT_EQ(json_member(kDocument, "jobs"), R"(["lte", "a, b"])");
  EXPECT_EQ(json_member(kDocument, "steps"), "7");
  EXPECT_EQ(json_member(kDocument, "odd"), std::nullopt);
}

TEST(JsonMember, IsNotThereInWhatIsNoObject) {
  for (const std::string_view text :
       {"", "[1]", "{", "{}", "{\"jobs\"", "{\"jobs\":", "{\"jobs\": \"open", "{jobs: 1}"}) {
    EXPECT_EQ(json_member(text, "jobs"), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace mvfstrl::tools
