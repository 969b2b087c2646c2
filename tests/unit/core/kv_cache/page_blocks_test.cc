#include "core/kv_cache/page_blocks.h"

#include <cstring>
#include <string>
#include <vector>

#include "core/tensor/conversions.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace attn {
namespace {

// A page of one head, and rows to write into it.
struct Bench {
  explicit Bench(const KvFormat& kv_format)
      : format(kv_format),
        page(static_cast<size_t>(kv_format.page_bytes())),
        keys(static_cast<size_t>(kPageTokens * kv_format.head_dim)),
        values(static_cast<size_t>(kPageTokens * kv_format.value_head_dim)) {
    test::Random random(7);
    for (float& x : keys) x = static_cast<float>(random.Gaussian());
    for (float& x : values) x = static_cast<float>(random.Gaussian());
  }

  PageBlocks<std::byte> blocks() { return BlocksOf(format, page.data(), 0); }

  // Rows [first, first + n) to the places of the same numbers.
  void Write(int64_t first, int64_t n) {
    WriteTokens({.place = first,
                 .n = n,
                 .keys = keys.data() + first * format.head_dim,
                 .values = values.data() + first * format.value_head_dim},
                blocks());
  }

  // Whether the element of a block is `x` in the page's dtype.
  bool Holds(const std::byte* block, int64_t index, float x) const {
    const int64_t width = ElementBytes(format.dtype);
    std::byte expected[4];
    ConvertFromF32(&x, 1, format.dtype, expected);
    return std::memcmp(block + index * width, expected,
                       static_cast<size_t>(width)) == 0;
  }

  // Places [first, end) hold their rows, all others zero.
  bool HoldsJust(int64_t first, int64_t end) {
    bool is_right = true;
    for (int64_t t = 0; t < kPageTokens; ++t) {
      const bool is_there = t >= first && t < end;
      for (int64_t d = 0; d < format.head_dim; ++d) {
        is_right &= Holds(blocks().keys, d * kPageTokens + t,
                          is_there ? keys[t * format.head_dim + d] : 0);
      }
      for (int64_t d = 0; d < format.value_head_dim; ++d) {
        const int64_t index = t * format.value_head_dim + d;
        is_right &= Holds(blocks().values, index, is_there ? values[index] : 0);
      }
    }
    return is_right;
  }

  KvFormat format;
  std::vector<std::byte> page;
  std::vector<float> keys, values;
};

class PageBlocksTest : public testing::TestWithParam<DataType> {
 protected:
  KvFormat Format(int64_t head_dim, int64_t value_head_dim) const {
    return {GetParam(), 1, head_dim, value_head_dim};
  }
};

TEST_P(PageBlocksTest, RunsLandTransposedAndTouchNothingElse) {
  const int64_t dims[][2] = {{1, 1}, {5, 16}, {64, 3}, {128, 128}, {300, 17}};
  for (const auto& [head_dim, value_head_dim] : dims) {
    for (const int64_t first : {0, 1, 40, 63}) {
      for (const int64_t n : {1, 2, 15, 16, 17, 24, 63, 64}) {
        if (first + n > kPageTokens) continue;
        Bench bench(Format(head_dim, value_head_dim));
        bench.Write(first, n);
        EXPECT_TRUE(bench.HoldsJust(first, first + n))
            << head_dim << " " << first << " " << n;
      }
    }
  }
}

TEST_P(PageBlocksTest, OneByOneGivesTheBytesOfOneRun) {
  Bench whole(Format(40, 24)), single(Format(40, 24));
  whole.Write(0, kPageTokens);
  for (int64_t t = 0; t < kPageTokens; ++t) single.Write(t, 1);
  EXPECT_EQ(whole.page, single.page);
}

TEST_P(PageBlocksTest, CopyTakesTheFirstPlacesAlone) {
  for (const int64_t n : {0, 1, 33, 64}) {
    Bench from(Format(20, 12)), to(Format(20, 12));
    from.Write(0, kPageTokens);
    CopyTokens(BlocksOf<const std::byte>(from.format, from.page.data(), 0), n,
               to.blocks());
    EXPECT_TRUE(to.HoldsJust(0, n)) << n;
  }
}

TEST_P(PageBlocksTest, ClearZeroesTheLastPlacesAlone) {
  for (const int64_t place : {0, 1, 33, 64}) {
    Bench bench(Format(20, 12));
    bench.Write(0, kPageTokens);
    ClearTokens(bench.blocks(), place);
    EXPECT_TRUE(bench.HoldsJust(0, place)) << place;
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, PageBlocksTest,
                         testing::Values(DataType::kF32, DataType::kBF16,
                                         DataType::kF16),
                         [](const auto& test_info) {
                           return std::string(DataTypeName(test_info.param));
                         });

}  // namespace
}  // namespace attn
