// Layers that pack their full pages to int8: what they hold, what they cost,
// and what forks, truncations and refusals do to them. Tokens are such that
// int8 holds them exactly (kv_tokens.h), but where the test says Gaussian.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/unit/core/kv_cache/kv_layer_fixture.h"

namespace attn::test {
namespace {

// Dims that no vector divides.
constexpr KvFormat kFormat{DataType::kF32, 2, 5, 3, true};
const int64_t kPage = kFormat.page_bytes();
const int64_t kPacked = kFormat.packed_page_bytes();

// The bytes of all pages.
std::vector<std::byte> BytesOf(const KvSnapshot& snapshot) {
  std::vector<std::byte> bytes;
  const ShownPages& pages = *snapshot.pages;
  for (size_t i = 0; i < pages.data.size(); ++i) {
    bytes.insert(bytes.end(), pages.data[i],
                 pages.data[i] + kFormat.BytesOf(pages.forms[i]));
  }
  return bytes;
}

// Appends Gaussian rows [first, first + n), the same for every head; int8 does
// not hold them exactly.
void AppendGaussian(KvLayer& layer, int64_t first, int64_t n) {
  auto append = layer.BeginAppend({.num_tokens = n}, first);
  ASSERT_TRUE(append.ok());
  for (int64_t i = first; i < first + n;) {
    const int64_t run = std::min(first + n - i, kPageTokens - i % kPageTokens);
    std::vector<float> keys, values;
    for (int64_t t = i; t < i + run; ++t) {
      Random random(static_cast<uint64_t>(t));
      const auto next = [&] { return static_cast<float>(random.Gaussian()); };
      for (int64_t d = 0; d < kFormat.head_dim; ++d) keys.push_back(next());
      for (int64_t d = 0; d < kFormat.value_head_dim; ++d) {
        values.push_back(next());
      }
    }
    for (int64_t head = 0; head < kFormat.num_kv_heads; ++head) {
      append->Write(head, i, run, keys.data(), values.data());
    }
    i += run;
  }
  append->Commit();
}

class PackedLayerTest : public KvLayerTest {
 protected:
  explicit PackedLayerTest(int64_t max_bytes = int64_t{64} << 20)
      : KvLayerTest(max_bytes, kFormat) {}
};

TEST_F(PackedLayerTest, FullPagesArePackedAndTheLastOneIsNot) {
  for (const int64_t first : {0, 1, 63, 64, 65, 128}) {
    for (const int64_t second : {0, 1, 63, 64, 65, 128}) {
      KvLayer& layer = NewLayer();
      Append(layer, IdsFrom(1, first));
      Append(layer, IdsFrom(1 + first, second));
      const int64_t length = first + second;
      EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, length)), "")
          << first << " " << second;
      EXPECT_EQ(layer.kv_bytes(), length / kPageTokens * kPacked +
                                      (length % kPageTokens > 0 ? kPage : 0));
      EXPECT_EQ(pool_.used_bytes(), layer.kv_bytes());
      layers_.clear();
    }
  }
}

TEST_F(PackedLayerTest, PiecesGiveTheBytesOfTheWhole) {
  KvLayer& whole = NewLayer();
  AppendGaussian(whole, 0, 200);
  for (const int64_t step : {1, 7, 63, 64, 65, 100}) {
    KvLayer& layer = NewLayer();
    for (int64_t i = 0; i < 200; i += step) {
      AppendGaussian(layer, i, std::min(step, 200 - i));
    }
    EXPECT_EQ(BytesOf(layer.Snapshot()), BytesOf(whole.Snapshot())) << step;
  }
}

TEST_F(PackedLayerTest, DroppedAppendLeavesNoTrace) {
  for (const int64_t length : {0, 1, 63, 64, 100}) {
    for (const int64_t written : {0, 1, 30, 70, 130}) {
      KvLayer& layer = LayerOf(IdsFrom(1, length));
      const int64_t used_bytes = pool_.used_bytes();
      {
        const TokenIds ids = IdsFrom(1000, 130);
        auto append = layer.BeginAppend(KeyOf(ids), length);
        ASSERT_TRUE(append.ok());
        WriteIds(*append, kFormat, ids, 0, written);
        const KvAppend moved = *std::move(append);
      }
      EXPECT_EQ(pool_.used_bytes(), used_bytes);
      EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, length)), "");
      Append(layer, IdsFrom(1 + length, 70), length);
      EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, length + 70)), "");
    }
  }
}

TEST_F(PackedLayerTest, RepeatedAppendSucceedsWithoutEffect) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  const TokenIds ids = IdsFrom(11, 118);
  Append(layer, ids, 10);
  const int64_t used_bytes = pool_.used_bytes();
  auto repeat = layer.BeginAppend(KeyOf(ids), 10);
  ASSERT_TRUE(repeat.ok());
  EXPECT_TRUE(repeat->is_repeat());
  repeat->Commit();
  EXPECT_EQ(pool_.used_bytes(), used_bytes);
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 128)), "");
}

TEST_F(PackedLayerTest, SnapshotOfTheOpenPageOutlivesItsPacking) {
  KvLayer& layer = LayerOf(IdsFrom(1, 60));
  const KvSnapshot before = layer.Snapshot();
  Append(layer, IdsFrom(61, 10));
  EXPECT_FALSE(before.Head(0).IsPacked(0));
  EXPECT_TRUE(layer.Snapshot().Head(0).IsPacked(0));
  EXPECT_EQ(CompareWithIds(before, IdsFrom(1, 60)), "");
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 70)), "");
}

TEST_F(PackedLayerTest, TruncationIntoAPackedPageKeepsItAndAppendUnpacksIt) {
  for (const int64_t length : {1, 63, 64, 65, 100, 127, 128, 199}) {
    ExpectCutLayerGrowsAgain(length);
  }
}

TEST_F(PackedLayerTest, TruncatedPackedPageCountsAsPacked) {
  KvLayer& layer = LayerOf(IdsFrom(1, 200));
  ASSERT_TRUE(layer.Truncate(100).ok());
  EXPECT_EQ(layer.kv_bytes(), 2 * kPacked);
  EXPECT_EQ(pool_.used_bytes(), 2 * kPacked);
  Append(layer, IdsFrom(1000, 1));
  EXPECT_EQ(layer.kv_bytes(), kPacked + kPage);
  EXPECT_EQ(pool_.used_bytes(), kPacked + kPage);
  Append(layer, IdsFrom(1001, 27));
  EXPECT_EQ(pool_.used_bytes(), 2 * kPacked);
}

TEST_F(PackedLayerTest, ForkAndSourceGoTheirOwnWays) {
  for (const int64_t length : {0, 1, 63, 64, 65, 100, 127, 128, 140}) {
    ExpectForkAndSourceApart(length);
  }
}

TEST_F(PackedLayerTest, ForkCostsNothingUntilItsFirstAppend) {
  KvLayer& source = LayerOf(IdsFrom(1, 100));
  KvLayer& fork = Fork(source, 50);
  EXPECT_EQ(pool_.used_bytes(), kPacked + kPage);
  EXPECT_EQ(pool_.shared_bytes(), kPacked);
  EXPECT_EQ(fork.shared_bytes(), kPacked);
  Append(fork, IdsFrom(1000, 1));
  EXPECT_EQ(pool_.used_bytes(), kPacked + 2 * kPage);
  EXPECT_EQ(fork.shared_bytes(), 0);
  EXPECT_EQ(CompareWithIds(fork.Snapshot(), Joined(IdsFrom(1, 50), {1000})),
            "");
}

// Two layers write on in one f32 page; each packs its own.
TEST_F(PackedLayerTest, SharedOpenPageIsPackedByEachForItself) {
  KvLayer& source = LayerOf(IdsFrom(1, 30));
  KvLayer& fork = Fork(source, 20);
  Append(source, IdsFrom(2000, 34));
  EXPECT_EQ(pool_.used_bytes(), kPacked + kPage);
  Append(fork, IdsFrom(3000, 44));
  EXPECT_EQ(pool_.used_bytes(), 2 * kPacked);
  EXPECT_EQ(CompareWithIds(source.Snapshot(),
                           Joined(IdsFrom(1, 30), IdsFrom(2000, 34))),
            "");
  EXPECT_EQ(CompareWithIds(fork.Snapshot(),
                           Joined(IdsFrom(1, 20), IdsFrom(3000, 44))),
            "");
}

TEST_F(PackedLayerTest, WindowFreesPackedPages) {
  KvLayer& layer = LayerOf(IdsFrom(1, 200), /*window=*/64);
  Append(layer, IdsFrom(201, 1));  // Row 200 sees 137 to 200.
  EXPECT_EQ(layer.first_token(), 128);
  EXPECT_EQ(pool_.used_bytes(), kPacked + kPage);
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 201)), "");
}

TEST_F(PackedLayerTest, PartOfAPageThatIsPackedEndsTheProcess) {
  KvLayer& layer = NewLayer();
  const std::vector<float> rows(64 * 5);
  auto append = layer.BeginAppend({.num_tokens = 64}, std::nullopt);
  ASSERT_TRUE(append.ok());
  EXPECT_DEATH(append->Write(0, 0, 63, rows.data(), rows.data()), "run.n");
}

// Room for a slab of the form that comes first, and for three packed pages or
// one of f32 beside it.
class SmallPackedPoolTest : public PackedLayerTest {
 protected:
  SmallPackedPoolTest() : PackedLayerTest((int64_t{2} << 20) + 3 * kPacked) {}
};

TEST_F(SmallPackedPoolTest, RefusedPackingOfTheOpenPageLeavesNoTrace) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  Append(layer, IdsFrom(11, 3 * kPageTokens));
  const int64_t used_bytes = 3 * kPacked + kPage;
  EXPECT_EQ(pool_.used_bytes(), used_bytes);
  for (const int64_t n : {54, 55, 200}) {
    const absl::Status status = TryAppend(layer, n);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ReasonOf(status), Reason::kKvMemory);
    EXPECT_EQ(pool_.used_bytes(), used_bytes);
    EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 202)), "");
  }
  Append(layer, IdsFrom(203, 53));
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 255)), "");
}

// No page of f32 is taken for what is packed at once.
TEST_F(SmallPackedPoolTest, FullPagesNeedNoMoreThanTheyLeave) {
  KvLayer& other = LayerOf(IdsFrom(1, 1));
  KvLayer& layer = LayerOf(IdsFrom(100, 3 * kPageTokens));
  EXPECT_EQ(pool_.used_bytes(), 3 * kPacked + kPage);
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(100, 192)), "");
  EXPECT_EQ(CompareWithIds(other.Snapshot(), IdsFrom(1, 1)), "");
}

TEST_F(SmallPackedPoolTest, RefusedUnpackingLeavesTheLayerAsItWas) {
  KvLayer& layer = LayerOf(IdsFrom(1, 2 * kPageTokens));
  KvLayer& other = LayerOf(IdsFrom(500, 10));
  ASSERT_TRUE(layer.Truncate(100).ok());
  EXPECT_EQ(ReasonOf(TryAppend(layer, 1)), Reason::kKvMemory);
  EXPECT_EQ(pool_.used_bytes(), 2 * kPacked + kPage);
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 100)), "");
  EXPECT_EQ(CompareWithIds(other.Snapshot(), IdsFrom(500, 10)), "");
  ASSERT_TRUE(other.Truncate(0).ok());
  Append(layer, IdsFrom(101, 1));
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 101)), "");
}

}  // namespace
}  // namespace attn::test
