// Forks and truncations: what tables share, and that each keeps its own tokens.
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/unit/core/kv_cache/kv_layer_fixture.h"

namespace attn::test {
namespace {

TEST_F(KvLayerTest, TruncatedLayerGrowsAgainWhileASnapshotStaysAsItWas) {
  for (const int64_t length : {0, 1, 63, 64, 65, 100, 128, 199}) {
    ExpectCutLayerGrowsAgain(length);
  }
}

TEST_F(KvLayerTest, TruncationAloneIsWrittenInPlaceWithAZeroTail) {
  KvLayer& layer = LayerOf(IdsFrom(1, 200));
  ASSERT_TRUE(layer.Truncate(70).ok());
  EXPECT_EQ(pool_.used_bytes(), 2 * page_bytes());
  Append(layer, IdsFrom(1000, 1));
  EXPECT_EQ(pool_.used_bytes(), 2 * page_bytes());
  EXPECT_TRUE(HasZeroTail(layer.Snapshot()));
}

TEST_F(KvLayerTest, TruncationBeyondTheLengthIsRefused) {
  KvLayer& layer = LayerOf(IdsFrom(1, 70));
  const absl::Status status = layer.Truncate(71);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), Reason::kLengthMismatch);
  EXPECT_EQ(FoundLengthOf(status), 70);
  EXPECT_EQ(status.message(),
            "length must be at most the layer's length; got 71 vs 70");
  EXPECT_EQ(layer.Truncate(-1).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(KvLayerTest, TruncationToTheLengthChangesNothing) {
  KvLayer& layer = LayerOf(IdsFrom(1, 70));
  ASSERT_TRUE(layer.Truncate(70).ok());
  EXPECT_TRUE(layer.BeginAppend(KeyOf(IdsFrom(1, 70)), 0)->is_repeat());
}

TEST_F(KvLayerTest, ForkAndSourceGoTheirOwnWays) {
  for (const int64_t length : {0, 1, 63, 64, 65, 100, 128, 140}) {
    ExpectForkAndSourceApart(length);
  }
}

TEST_F(KvLayerTest, ForkCostsNothingUntilItsFirstAppend) {
  KvLayer& source = LayerOf(IdsFrom(1, 100));
  KvLayer& fork = Fork(source, 100);
  EXPECT_EQ(pool_.used_bytes(), 2 * page_bytes());
  EXPECT_EQ(pool_.shared_bytes(), 2 * page_bytes());
  EXPECT_EQ(fork.shared_bytes(), 2 * page_bytes());
  Append(fork, IdsFrom(1000, 1));
  EXPECT_EQ(pool_.used_bytes(), 3 * page_bytes());
  EXPECT_EQ(fork.shared_bytes(), page_bytes());
  EXPECT_EQ(source.shared_bytes(), page_bytes());
  EXPECT_EQ(pool_.shared_bytes(), page_bytes());
}

// Neither what the source wrote on in the shared page, nor what it has beyond
// the fork's length, comes along.
TEST_F(KvLayerTest, ForkCopiesNoMoreThanItShows) {
  KvLayer& source = LayerOf(IdsFrom(1, 20));
  for (const int64_t length : {10, 20}) {
    KvLayer& fork = Fork(source, length);
    Append(source, IdsFrom(1000, 5));
    Append(fork, IdsFrom(1 + length, 1));
    EXPECT_EQ(CompareWithIds(fork.Snapshot(), IdsFrom(1, length + 1)), "");
    EXPECT_TRUE(HasZeroTail(fork.Snapshot()));
  }
}

// The source wrote on in the shared page; what it left behind is cleared.
TEST_F(KvLayerTest, OrphanedForkTakesThePageOver) {
  KvLayer& fork = NewLayer();
  {
    KvLayer source(pool_, format_, 0, kManyTokens);
    Append(source, IdsFrom(1, 10));
    ASSERT_TRUE(fork.ForkFrom(source, 10).ok());
    Append(source, IdsFrom(1000, 30));
  }
  Append(fork, IdsFrom(11, 2));
  EXPECT_EQ(pool_.used_bytes(), page_bytes());
  EXPECT_EQ(CompareWithIds(fork.Snapshot(), IdsFrom(1, 12)), "");
  EXPECT_TRUE(HasZeroTail(fork.Snapshot()));
}

TEST_F(KvLayerTest, ForkTreeOfDepthEightKeepsEveryBranch) {
  std::vector<std::pair<KvLayer*, TokenIds>> branches;
  branches.emplace_back(&LayerOf(IdsFrom(1, 60)), IdsFrom(1, 60));
  for (uint64_t depth = 1; depth <= 8; ++depth) {
    const auto& [parent, parent_ids] = branches.back();
    const auto length = std::ssize(parent_ids) - 3;
    TokenIds ids(parent_ids.begin(), parent_ids.begin() + length);
    KvLayer& child = Fork(*parent, length);
    Append(*parent, IdsFrom(100000 * depth, 5));
    branches.back().second = Joined(parent_ids, IdsFrom(100000 * depth, 5));
    Append(child, IdsFrom(10000 * depth, 20));
    ids = Joined(ids, IdsFrom(10000 * depth, 20));
    branches.emplace_back(&child, ids);
  }
  for (const auto& [layer, ids] : branches) {
    EXPECT_EQ(CompareWithIds(layer->Snapshot(), ids), "");
  }
}

TEST_F(KvLayerTest, ForkBeyondTheLengthIsRefused) {
  KvLayer& source = LayerOf(IdsFrom(1, 70));
  const absl::Status status = NewLayer().ForkFrom(source, 71);
  EXPECT_EQ(ReasonOf(status), Reason::kLengthMismatch);
  EXPECT_EQ(FoundLengthOf(status), 70);
}

}  // namespace
}  // namespace attn::test
