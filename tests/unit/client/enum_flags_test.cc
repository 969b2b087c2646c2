#include "client/cpp/attnctl/enum_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace attn::attnctl {
namespace {

// What `add` makes of "`flag` `name`".
template <typename Enum>
Enum Parsed(const char* flag, const char* name,
            CLI::Option* (*add)(CLI::App&, Enum&)) {
  CLI::App app;
  Enum value = static_cast<Enum>(-1);  // None of its values.
  add(app, value);
  app.parse(std::string(flag) + " " + name);
  return value;
}

TEST(EnumFlagsTest, EveryKvDtypeHasAName) {
  using client::KvDtype;
  const auto parsed = [](const char* name) {
    return Parsed<KvDtype>("--kv-dtype", name, AddKvDtypeFlag);
  };
  EXPECT_EQ(parsed("f32"), KvDtype::kF32);
  EXPECT_EQ(parsed("bf16"), KvDtype::kBf16);
  EXPECT_EQ(parsed("f16"), KvDtype::kF16);
  EXPECT_EQ(parsed("int8"), KvDtype::kInt8);
  EXPECT_THROW(parsed("f64"), CLI::ValidationError);
}

TEST(EnumFlagsTest, EveryLayoutHasAName) {
  using client::Layout;
  const auto parsed = [](const char* name) {
    return Parsed<Layout>("--layout", name, [](CLI::App& app, Layout& layout) {
      return AddLayoutFlag(app, layout, "query");
    });
  };
  EXPECT_EQ(parsed("bhsd"), Layout::kBhsd);
  EXPECT_EQ(parsed("bshd"), Layout::kBshd);
  EXPECT_EQ(parsed("bse"), Layout::kBse);
}

TEST(EnumFlagsTest, EveryCausalModeAndPriorityHasAName) {
  using client::Causal;
  using client::Priority;
  const auto causal = [](const char* name) {
    return Parsed<Causal>("--causal", name, AddCausalFlag);
  };
  EXPECT_EQ(causal("none"), Causal::kNone);
  EXPECT_EQ(causal("top-left"), Causal::kTopLeft);
  EXPECT_EQ(causal("bottom-right"), Causal::kBottomRight);
  const auto priority = [](const char* name) {
    return Parsed<Priority>("--priority", name, AddPriorityFlag);
  };
  EXPECT_EQ(priority("low"), Priority::kLow);
  EXPECT_EQ(priority("normal"), Priority::kNormal);
  EXPECT_EQ(priority("high"), Priority::kHigh);
}

}  // namespace
}  // namespace attn::attnctl
