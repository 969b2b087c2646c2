#include "core/kv_cache/session_spec.h"

#include <cstdint>
#include <limits>
#include <string>

#include "core/base/error.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

using std::chrono::seconds;

KvSpec ValidSpec() {
  return {.num_layers = 2, .num_kv_heads = 8, .head_dim = 128};
}

TEST(SessionSpecTest, DefaultsAreFilledIn) {
  SessionLimits limits;
  limits.idle_ttl = seconds(7);
  limits.max_length = 1000;
  const auto spec = ResolveSpec(ValidSpec(), limits);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->value_head_dim, 128);
  EXPECT_EQ(spec->kv_dtype, KvDtype::kF32);
  EXPECT_EQ(spec->max_length, 1000);
  EXPECT_EQ(spec->window, 0);
  EXPECT_EQ(spec->idle_ttl, seconds(7));
}

TEST(SessionSpecTest, WhatIsGivenStays) {
  KvSpec spec = ValidSpec();
  spec.value_head_dim = 64;
  spec.kv_dtype = KvDtype::kBF16;
  spec.max_length = 100;
  spec.window = 200;
  spec.idle_ttl = seconds(1);
  const auto resolved = ResolveSpec(spec, {});
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(*resolved, spec);
}

TEST(SessionSpecTest, FormatFollowsTheSpec) {
  KvSpec spec = ValidSpec();
  spec.value_head_dim = 64;
  spec.kv_dtype = KvDtype::kF16;
  const KvFormat format = FormatOf(spec);
  EXPECT_EQ(format.dtype, DataType::kF16);
  EXPECT_EQ(format.num_kv_heads, 8);
  EXPECT_EQ(format.head_dim, 128);
  EXPECT_EQ(format.value_head_dim, 64);
  spec.kv_dtype = KvDtype::kBF16;
  EXPECT_EQ(FormatOf(spec).dtype, DataType::kBF16);
  spec.kv_dtype = KvDtype::kF32;
  EXPECT_EQ(FormatOf(spec).dtype, DataType::kF32);
}

struct BadSpec {
  const char* field;
  void (*spoil)(KvSpec&);
  const char* message;
};

TEST(SessionSpecTest, EveryBadNumberIsNamed) {
  const BadSpec cases[] = {
      {"spec.num_layers", [](KvSpec& spec) { spec.num_layers = 0; },
       "spec.num_layers must be between 1 and 4096; got 0"},
      {"spec.num_layers", [](KvSpec& spec) { spec.num_layers = 4097; },
       "spec.num_layers must be between 1 and 4096; got 4097"},
      {"spec.num_kv_heads", [](KvSpec& spec) { spec.num_kv_heads = 0; },
       "spec.num_kv_heads must be between 1 and 4096; got 0"},
      {"spec.num_kv_heads",
       [](KvSpec& spec) {
         spec.num_kv_heads = std::numeric_limits<int64_t>::max();
       },
       "spec.num_kv_heads must be between 1 and 4096; got "
       "9223372036854775807"},
      {"spec.head_dim", [](KvSpec& spec) { spec.head_dim = 0; },
       "spec.head_dim must be between 1 and 65536; got 0"},
      {"spec.head_dim", [](KvSpec& spec) { spec.head_dim = 65537; },
       "spec.head_dim must be between 1 and 65536; got 65537"},
      {"spec.value_head_dim", [](KvSpec& spec) { spec.value_head_dim = -1; },
       "spec.value_head_dim must be between 1 and 65536; got -1"},
      {"spec.kv_dtype",
       [](KvSpec& spec) { spec.kv_dtype = static_cast<KvDtype>(17); },
       "spec.kv_dtype must be a known KV dtype; got 17"},
      {"spec.max_length", [](KvSpec& spec) { spec.max_length = 16777217; },
       "spec.max_length must be between 0 and 16777216; got 16777217"},
      {"spec.max_length", [](KvSpec& spec) { spec.max_length = -1; },
       "spec.max_length must be between 0 and 16777216; got -1"},
      {"spec.window", [](KvSpec& spec) { spec.window = -1; },
       "spec.window must be at least 0; got -1"},
      {"spec.idle_ttl", [](KvSpec& spec) { spec.idle_ttl = seconds(0); },
       "spec.idle_ttl must be above 0; got 0 s"},
      {"spec.idle_ttl", [](KvSpec& spec) { spec.idle_ttl = seconds(-2); },
       "spec.idle_ttl must be above 0; got -2 s"},
      {"spec", [](KvSpec& spec) { spec.num_kv_heads = 1025; },
       "spec must have heads of at most 67108864 bytes together in 64 tokens; "
       "got 67174400"},
  };
  for (const BadSpec& bad : cases) {
    KvSpec spec = ValidSpec();
    bad.spoil(spec);
    const absl::Status status = ResolveSpec(spec, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ReasonOf(status), Reason::kInvalidOption);
    EXPECT_EQ(FieldOf(status), bad.field);
    EXPECT_EQ(status.message(), bad.message);
  }
}

TEST(SessionSpecTest, LargestPageIsServed) {
  KvSpec spec = ValidSpec();
  spec.num_kv_heads = 1024;
  EXPECT_TRUE(ResolveSpec(spec, {}).ok());
  EXPECT_EQ(FormatOf(*ResolveSpec(spec, {})).page_bytes(), kMaxPageBytes);
}

TEST(SessionSpecTest, LargestDimsDoNotOverflow) {
  const KvSpec spec{
      .num_layers = 4096, .num_kv_heads = 4096, .head_dim = 65536};
  EXPECT_EQ(FieldOf(ResolveSpec(spec, {}).status()), "spec");
}

TEST(SessionSpecTest, Int8PacksFullPagesAndKeepsTheOthersInF32) {
  KvSpec spec = ValidSpec();
  spec.kv_dtype = KvDtype::kInt8;
  const auto resolved = ResolveSpec(spec, {});
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  const KvFormat format = FormatOf(*resolved);
  EXPECT_TRUE(format.packs_full_pages);
  EXPECT_EQ(format.dtype, DataType::kF32);
  spec.kv_dtype = KvDtype::kF32;
  EXPECT_FALSE(FormatOf(*ResolveSpec(spec, {})).packs_full_pages);
}

// 8 heads of 128: keys 8192 + 512, values 8192 + 256 bytes each.
TEST(SessionSpecTest, PackedPageIsAQuarterOfTheOtherAndItsScales) {
  KvSpec spec = ValidSpec();
  spec.value_head_dim = 128;
  spec.kv_dtype = KvDtype::kInt8;
  const KvFormat format = FormatOf(spec);
  EXPECT_EQ(format.page_bytes(), 8 * 2 * 64 * 128 * 4);
  EXPECT_EQ(format.packed_page_bytes(), 8 * (8192 + 512 + 8192 + 256));
  EXPECT_EQ(format.BytesOf(PageForm::kPacked), format.packed_page_bytes());
  EXPECT_EQ(format.BytesOf(PageForm::kFloat), format.page_bytes());
}

// Every part at 64 bytes, none over another, the last one within the page.
TEST(SessionSpecTest, PartsOfAPackedPageAreAlignedAndApart) {
  for (const int64_t head_dim : {1, 5, 16, 17, 128, 300}) {
    const KvFormat format{DataType::kF32, 3, head_dim, head_dim + 2, true};
    int64_t end = 0;
    for (int64_t head = 0; head < 3; ++head) {
      const PackedOffsets at = format.PackedOffsetsOf(head);
      EXPECT_EQ((at.keys | at.key_scales | at.values | at.value_scales) % 64,
                0);
      EXPECT_GE(at.keys, end);
      EXPECT_GE(at.key_scales, at.keys + 64 * head_dim);
      EXPECT_GE(at.values, at.key_scales + 4 * head_dim);
      EXPECT_GE(at.value_scales, at.values + 64 * (head_dim + 2));
      end = at.value_scales + 64 * 4;
    }
    EXPECT_EQ(format.packed_page_bytes(), end);
  }
}

}  // namespace
}  // namespace attn
