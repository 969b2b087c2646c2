#include "core/kv_cache/packed_blocks.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "core/memory/aligned_buffer.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace attn {
namespace {

constexpr int64_t kHeads = 2;

// Pages of both forms and tokens for them.
struct Bench {
  Bench(int64_t head_dim, int64_t value_head_dim)
      : format{DataType::kF32, kHeads, head_dim, value_head_dim, true},
        page(*AlignedBuffer::Allocate(format.page_bytes())),
        packed(*AlignedBuffer::Allocate(format.packed_page_bytes())),
        keys(static_cast<size_t>(kPageTokens * head_dim)),
        values(static_cast<size_t>(kPageTokens * value_head_dim)) {
    std::memset(page.data(), 0, static_cast<size_t>(format.page_bytes()));
    std::memset(packed.data(), 0,
                static_cast<size_t>(format.packed_page_bytes()));
    test::Random random(11);
    for (float& x : keys) x = static_cast<float>(random.Gaussian());
    for (float& x : values) x = static_cast<float>(random.Gaussian());
  }

  TokenRun Run() const {
    return {.place = 0,
            .n = kPageTokens,
            .keys = keys.data(),
            .values = values.data()};
  }
  PackedBlocks Packed(int64_t head) {
    return PackedBlocksOf(format, packed.data(), head);
  }
  PageBlocks<std::byte> Page(int64_t head) {
    return BlocksOf(format, page.data(), head);
  }
  std::vector<std::byte> PackedBytes() const {
    return {packed.data(), packed.data() + format.packed_page_bytes()};
  }
  PagedHead Head(int64_t head) {
    return PagedKv{.pages = &pages, .forms = &form, .format = format}.Head(
        head);
  }

  KvFormat format;
  AlignedBuffer page, packed;
  std::vector<float> keys, values;
  const std::byte* pages = packed.data();
  PageForm form = PageForm::kPacked;
};

// The scale of a channel is its largest |key| / 127, that of a token its
// largest |value| / 127; each element is off by half of it at most.
void ExpectHolds(Bench& bench, int64_t head) {
  const KvFormat& format = bench.format;
  const Int8Rows keys = bench.Head(head).PackedKeys(0);
  const Int8Rows values =
      bench.Head(head).PackedValues(0, format.value_head_dim);
  for (int64_t t = 0; t < kPageTokens; ++t) {
    for (int64_t d = 0; d < format.head_dim; ++d) {
      const float key =
          bench.keys[static_cast<size_t>(t * format.head_dim + d)];
      ASSERT_LE(std::fabs(keys.At(d, t) - key), 0.5001f * keys.scales[d]);
    }
    for (int64_t d = 0; d < format.value_head_dim; ++d) {
      const float value =
          bench.values[static_cast<size_t>(t * format.value_head_dim + d)];
      ASSERT_LE(std::fabs(values.At(t, d) - value), 0.5001f * values.scales[t]);
    }
  }
}

TEST(PackedBlocksTest, TokensArePackedByChannelAndByToken) {
  const int64_t dims[][2] = {{1, 1}, {5, 16}, {64, 3}, {128, 128}, {300, 17}};
  for (const auto& [head_dim, value_head_dim] : dims) {
    Bench bench(head_dim, value_head_dim);
    for (int64_t head = kHeads - 1; head >= 0; --head) {
      PackTokens(bench.Run(), bench.Packed(head));
    }
    for (int64_t head = 0; head < kHeads; ++head) ExpectHolds(bench, head);
  }
}

TEST(PackedBlocksTest, OneHeadTouchesNoOther) {
  Bench bench(5, 3);
  PackTokens(bench.Run(), bench.Packed(0));
  const PackedBlocks other = bench.Packed(1);
  for (int64_t i = 0; i < 5 * kPageTokens; ++i) EXPECT_EQ(other.keys[i], 0);
  for (int64_t i = 0; i < kPageTokens; ++i) EXPECT_EQ(other.value_scales[i], 0);
}

TEST(PackedBlocksTest, PageGivesTheBytesOfItsTokens) {
  for (const int64_t dim : {1, 17, 128}) {
    Bench direct(dim, dim + 3), by_page(dim, dim + 3);
    for (int64_t head = 0; head < kHeads; ++head) {
      PackTokens(direct.Run(), direct.Packed(head));
      WriteTokens(by_page.Run(), by_page.Page(head));
      PackPage(
          BlocksOf<const std::byte>(by_page.format, by_page.page.data(), head),
          by_page.Packed(head));
    }
    EXPECT_EQ(direct.PackedBytes(), by_page.PackedBytes()) << dim;
  }
}

TEST(PackedBlocksTest, FirstPlacesAreUnpackedAlone) {
  for (const int64_t n : {0, 1, 33, 64}) {
    Bench bench(20, 12);
    PackTokens(bench.Run(), bench.Packed(1));
    UnpackTokens(bench.Packed(1), n, bench.Page(1));
    const auto* keys = reinterpret_cast<const float*>(bench.Page(1).keys);
    const auto* values = reinterpret_cast<const float*>(bench.Page(1).values);
    const PagedHead head = bench.Head(1);
    for (int64_t t = 0; t < kPageTokens; ++t) {
      for (int64_t d = 0; d < 20; ++d) {
        EXPECT_EQ(keys[d * kPageTokens + t],
                  t < n ? head.PackedKeys(0).At(d, t) : 0);
      }
      for (int64_t d = 0; d < 12; ++d) {
        EXPECT_EQ(values[t * 12 + d],
                  t < n ? head.PackedValues(0, 12).At(t, d) : 0);
      }
    }
  }
}

TEST(PackedBlocksTest, PartOfAPageIsRefused) {
  Bench bench(5, 3);
  TokenRun run = bench.Run();
  run.n = 63;
  EXPECT_DEATH(PackTokens(run, bench.Packed(0)), "run.n == kPageTokens");
}

}  // namespace
}  // namespace attn
