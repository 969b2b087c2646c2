// Windows: which pages they free, and when.
#include <utility>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/kv_cache/kv_layer_fixture.h"

namespace attn::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(KvLayerTest, WindowFreesPagesThatNoRowOfTheLastAppendSees) {
  KvLayer& layer = LayerOf(IdsFrom(1, 200), /*window=*/64);
  EXPECT_EQ(layer.first_token(), 0) << "row 0 of the append sees token 0";
  Append(layer, IdsFrom(201, 1));  // Row 200 sees 137 to 200.
  EXPECT_EQ(layer.first_token(), 128);
  EXPECT_EQ(layer.length(), 201);
  EXPECT_EQ(pool_.used_bytes(), 2 * page_bytes());
  const KvSnapshot snapshot = layer.Snapshot();
  EXPECT_EQ(snapshot.first_token, 128);
  EXPECT_EQ(CompareWithIds(snapshot, IdsFrom(1, 201)), "");
}

TEST_F(KvLayerTest, WindowKeepsJustWhatTheFirstNewRowSees) {
  for (const auto& [start, first_token] :
       {std::pair{127, 0}, {128, 64}, {191, 64}, {192, 128}}) {
    KvLayer& layer = LayerOf(IdsFrom(1, start), /*window=*/65);
    Append(layer, IdsFrom(1 + start, 1));
    EXPECT_EQ(layer.first_token(), first_token) << start;
  }
}

TEST_F(KvLayerTest, WindowOfOneKeepsOnePage) {
  KvLayer& layer = NewLayer(/*window=*/1);
  for (uint64_t i = 0; i < 200; ++i) Append(layer, {i});
  EXPECT_EQ(pool_.used_bytes(), page_bytes());
  EXPECT_EQ(layer.first_token(), 192);
}

TEST_F(KvLayerTest, DroppedAppendFreesNothingOfTheWindow) {
  KvLayer& layer = LayerOf(IdsFrom(1, 200), /*window=*/64);
  EXPECT_TRUE(TryAppend(layer, 1).ok());
  EXPECT_EQ(layer.first_token(), 0);
}

TEST_F(KvLayerTest, SnapshotKeepsPagesThatLeftTheWindow) {
  KvLayer& layer = LayerOf(IdsFrom(1, 200), /*window=*/64);
  const KvSnapshot before = layer.Snapshot();
  Append(layer, IdsFrom(201, 300));
  Append(layer, IdsFrom(501, 1));
  EXPECT_EQ(CompareWithIds(before, IdsFrom(1, 200)), "");
}

TEST_F(KvLayerTest, WindowedLayerIsCutOnlyWhereItsWindowIsKept) {
  KvLayer& layer = LayerOf(IdsFrom(1, 250), /*window=*/64);
  Append(layer, IdsFrom(251, 10));  // Drops tokens below 128.
  ASSERT_EQ(layer.first_token(), 128);
  for (const int64_t length : {1, 127, 128, 190}) {
    const absl::Status status = layer.Truncate(length);
    EXPECT_EQ(ReasonOf(status), Reason::kLengthMismatch) << length;
    EXPECT_EQ(FoundLengthOf(status), 260);
    EXPECT_THAT(status.message(),
                AllOf(HasSubstr("length must lie where the window's tokens"),
                      HasSubstr("kept from 128, window 64")));
    EXPECT_FALSE(NewLayer(64).ForkFrom(layer, length).ok()) << length;
  }
  KvLayer& fork = NewLayer(64);
  ASSERT_TRUE(fork.ForkFrom(layer, 191).ok());
  EXPECT_EQ(CompareWithIds(fork.Snapshot(), IdsFrom(1, 191)), "");
  ASSERT_TRUE(layer.Truncate(191).ok());
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 191)), "");
  ASSERT_TRUE(layer.Truncate(0).ok());
  EXPECT_EQ(layer.first_token(), 0);
  Append(layer, IdsFrom(1, 3));
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 3)), "");
}

}  // namespace
}  // namespace attn::test
