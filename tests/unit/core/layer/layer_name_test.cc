#include "core/layer/layer_name.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

using ::testing::ElementsAre;

TEST(LayerNameTest, NamesAModelAndAnIndex) {
  const auto name = ParseLayerName("Qwen3-0.6B_x/12");
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(name->model, "Qwen3-0.6B_x");
  EXPECT_EQ(name->index, 12);
  EXPECT_EQ(ParseLayerName("m/0")->index, 0);
  EXPECT_EQ(ParseLayerName("m/9999999")->index, 9999999);
  EXPECT_TRUE(ParseLayerName(std::string(128, 'm') + "/0").ok());
}

TEST(LayerNameTest, WhatLeadsElsewhereIsNoName) {
  for (const std::string name :
       {"",      "m",    "/",          "m/",   "/0",     "m/00",
        "m/01",  "m/-1", "m/+1",       "m/1 ", "m/x",    "m/10000000",
        "../0",  "./0",  "a/b/0",      "/m/0", "../m/0", "m\\n/0",
        "m n/0", "m/0/", "m\xc3\xa4/0"}) {
    const auto parsed = ParseLayerName(name);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument)
        << name;
    EXPECT_EQ(FieldOf(parsed.status()), "name");
  }
  EXPECT_FALSE(ParseLayerName(std::string(129, 'm') + "/0").ok());
  EXPECT_FALSE(ParseLayerName(std::string("m\0/0", 4)).ok());
}

TEST(LayerNameTest, ErrorsShowNoControlCharacters) {
  const auto parsed = ParseLayerName("a\x1b[2Jb");
  EXPECT_EQ(parsed.status().message().find('\x1b'), std::string::npos);
  EXPECT_LT(ParseLayerName(std::string(5000, 'x')).status().message().size(),
            300);
}

TEST(LayerNameTest, OrderIsByModelAndNumber) {
  std::vector<std::string> names = {"b/0", "a/10", "a/9", "a", "a.b/1", "a/0"};
  std::sort(names.begin(), names.end(), LayerNameLess());
  EXPECT_THAT(names, ElementsAre("a", "a/0", "a/9", "a/10", "a.b/1", "b/0"));
}

}  // namespace
}  // namespace attn
