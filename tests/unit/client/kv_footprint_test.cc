#include "client/cpp/attnctl/kv_footprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cpp/attnctl/byte_size.h"

namespace attn::attnctl {
namespace {

using client::KvDtype;
using client::SessionSpec;

SessionSpec Llama(KvDtype kv_dtype) {
  return {.num_layers = 32,
          .num_kv_heads = 8,
          .head_dim = 128,
          .kv_dtype = kv_dtype};
}

// design/performance.md: 128 KiB a token, 8k tokens are 1 GiB.
TEST(KvFootprintTest, EightThousandTokensOfBf16AreAGibibyte) {
  const KvFootprint session = *FootprintOf(Llama(KvDtype::kBf16), 8192);
  EXPECT_EQ(session.token_bytes, 128 << 10);
  EXPECT_EQ(session.page_bytes, 256 << 10);
  EXPECT_EQ(session.pages, 32 * 128);
  EXPECT_EQ(session.kv_bytes, kGibibyte);
  EXPECT_EQ(BudgetFor(session, 3), 3 * kGibibyte);
}

TEST(KvFootprintTest, LastPageCountsWhole) {
  const SessionSpec spec{.head_dim = 64};
  EXPECT_EQ(FootprintOf(spec, 0)->kv_bytes, 0);
  EXPECT_EQ(FootprintOf(spec, 1)->kv_bytes, 2 * 64 * 64 * 4);
  EXPECT_EQ(FootprintOf(spec, 64)->kv_bytes, 2 * 64 * 64 * 4);
  EXPECT_EQ(FootprintOf(spec, 65)->kv_bytes, 2 * 2 * 64 * 64 * 4);
}

TEST(KvFootprintTest, ValuesHaveADimOfTheirOwn) {
  const SessionSpec spec{.head_dim = 64, .value_head_dim = 32};
  EXPECT_EQ(FootprintOf(spec, 64)->page_bytes, (64 + 32) * 64 * 4);
}

// A packed page of a head: 64 rows of int8 of K and of V, 128 scales of
// channels and 64 of tokens. The open page is F32.
TEST(KvFootprintTest, Int8IsPackedButForItsOpenPage) {
  const SessionSpec spec{.head_dim = 128, .kv_dtype = KvDtype::kInt8};
  constexpr int64_t kPacked = 2 * 64 * 128 + 4 * 128 + 4 * 64;
  constexpr int64_t kOpen = 2 * 64 * 128 * 4;
  EXPECT_EQ(FootprintOf(spec, 128)->kv_bytes, 2 * kPacked);
  EXPECT_EQ(FootprintOf(spec, 130)->kv_bytes, 2 * kPacked + kOpen);
  EXPECT_EQ(FootprintOf(spec, 128)->open_pages, 1);
}

// 17 pages of 120 KiB fill 2040 of a slab's 2048 KiB.
TEST(KvFootprintTest, BudgetIsOfWholeSlabs) {
  const SessionSpec spec{.head_dim = 240};
  const KvFootprint session = *FootprintOf(spec, 64);
  ASSERT_EQ(session.page_bytes, 120 << 10);
  EXPECT_EQ(BudgetFor(session, 17), 2 << 20);
  EXPECT_EQ(BudgetFor(session, 18), 4 << 20);
}

TEST(KvFootprintTest, RefusesWhatIsNoSession) {
  EXPECT_FALSE(FootprintOf({.head_dim = 0}, 1).ok());
  EXPECT_FALSE(FootprintOf({.num_layers = 0, .head_dim = 1}, 1).ok());
  EXPECT_FALSE(FootprintOf({.head_dim = 1}, -1).ok());
  EXPECT_FALSE(
      FootprintOf(
          {.num_layers = 1 << 20, .num_kv_heads = 1 << 20, .head_dim = 1 << 20},
          int64_t{1} << 40)
          .ok());
}

}  // namespace
}  // namespace attn::attnctl
