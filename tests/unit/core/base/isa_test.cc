#include "core/base/isa.h"

#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(IsaTest, ParsesEveryName) {
  EXPECT_EQ(ParseIsa("avx2").value(), Isa::kAvx2);
  EXPECT_EQ(ParseIsa("avx512").value(), Isa::kAvx512);
  EXPECT_EQ(ParseIsa("auto").value(), Isa::kAuto);
}

TEST(IsaTest, RefusesOtherNamesWithTheRule) {
  for (const char* name : {"", "AVX2", "avx", "avx512 ", "sse4", "max"}) {
    const auto isa = ParseIsa(name);
    ASSERT_EQ(isa.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(isa.status().message(),
              "max-isa must be auto, avx512 or avx2; got " + std::string(name));
  }
}

TEST(IsaTest, ChosenIsaHasAName) { EXPECT_FALSE(ChosenSimdIsa().empty()); }

}  // namespace
}  // namespace attn
