#include "core/kv_cache/kv_layer.h"

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/kv_tokens.h"

namespace attn {
namespace {

using test::AppendIds;
using test::CompareWithIds;
using test::HasZeroTail;
using test::IdsFrom;
using test::KeyOf;
using test::TokenIds;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kManyTokens = 100000;

class KvLayerTest : public testing::Test {
 protected:
  explicit KvLayerTest(int64_t max_bytes = 64 * kMiB) : pool_(max_bytes) {}
  // The pool's gauge returns to zero after every test.
  ~KvLayerTest() override {
    layers_.clear();
    EXPECT_EQ(pool_.used_bytes(), 0);
    EXPECT_EQ(pool_.shared_bytes(), 0);
  }

  KvLayer& NewLayer(int64_t window = 0, int64_t max_length = kManyTokens) {
    return layers_.emplace_back(pool_, format_, window, max_length);
  }
  KvLayer& LayerOf(const TokenIds& ids, int64_t window = 0) {
    KvLayer& layer = NewLayer(window);
    Append(layer, ids);
    return layer;
  }
  KvLayer& Fork(const KvLayer& source, int64_t length) {
    KvLayer& layer = NewLayer();
    const absl::Status status = layer.ForkFrom(source, length);
    EXPECT_TRUE(status.ok()) << status;
    return layer;
  }

  void Append(KvLayer& layer, const TokenIds& ids,
              std::optional<int64_t> expected_length = std::nullopt) {
    const absl::Status status = AppendIds(layer, format_, ids, expected_length);
    EXPECT_TRUE(status.ok()) << status;
  }
  absl::Status TryAppend(KvLayer& layer, int64_t n,
                         std::optional<int64_t> expected_length = {}) {
    return layer.BeginAppend({.num_tokens = n}, expected_length).status();
  }

  int64_t page_bytes() const { return format_.page_bytes(); }

  // Dims that no vector divides.
  const KvFormat format_{DataType::kBF16, 2, 5, 3};
  PagePool pool_;
  std::deque<KvLayer> layers_;
};

TokenIds Joined(TokenIds a, const TokenIds& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_F(KvLayerTest, HoldsWhatWasAppendedAroundPageEdges) {
  for (const int64_t first : {0, 1, 63, 64, 65, 128}) {
    for (const int64_t second : {0, 1, 63, 64, 65, 128}) {
      KvLayer& layer = NewLayer();
      Append(layer, IdsFrom(1, first));
      Append(layer, IdsFrom(1 + first, second));
      const KvSnapshot snapshot = layer.Snapshot();
      EXPECT_EQ(CompareWithIds(snapshot, IdsFrom(1, first + second)), "");
      EXPECT_TRUE(HasZeroTail(snapshot));
      EXPECT_EQ(layer.kv_bytes(),
                DivideUp(first + second, kPageTokens) * page_bytes());
      EXPECT_EQ(layer.length(), first + second);
    }
  }
}

TEST_F(KvLayerTest, TokensMayBeWrittenInAnyRuns) {
  KvLayer& layer = LayerOf(IdsFrom(1, 50));
  const TokenIds ids = IdsFrom(51, 100);
  auto append = layer.BeginAppend(KeyOf(ids), std::nullopt);
  ASSERT_TRUE(append.ok());
  EXPECT_EQ(append->start(), 50);
  EXPECT_EQ(append->num_tokens(), 100);
  test::WriteIds(*append, format_, ids, 60, 100);
  for (int64_t i = 0; i < 60; ++i) {
    test::WriteIds(*append, format_, ids, i, i + 1);
  }
  append->Commit();
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 150)), "");
}

TEST_F(KvLayerTest, EmptyLayerIsPagedToo) {
  const KvSnapshot snapshot = NewLayer().Snapshot();
  EXPECT_EQ(snapshot.length, 0);
  EXPECT_TRUE(snapshot.Head(1).is_on());
}

// Dropped before any write, in the middle, and after the last one.
TEST_F(KvLayerTest, DroppedAppendLeavesNoTrace) {
  for (const int64_t length : {0, 1, 63, 64, 100}) {
    for (const int64_t written : {0, 1, 30, 130}) {
      KvLayer& layer = LayerOf(IdsFrom(1, length));
      const int64_t used_bytes = pool_.used_bytes();
      {
        const TokenIds ids = IdsFrom(1000, 130);
        auto append = layer.BeginAppend(KeyOf(ids), length);
        ASSERT_TRUE(append.ok());
        test::WriteIds(*append, format_, ids, 0, written);
        const KvAppend moved = *std::move(append);
      }
      EXPECT_EQ(pool_.used_bytes(), used_bytes);
      EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, length)), "");
      EXPECT_TRUE(HasZeroTail(layer.Snapshot()));
      Append(layer, IdsFrom(1 + length, 3), length);
      EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, length + 3)), "");
      EXPECT_TRUE(HasZeroTail(layer.Snapshot()));
    }
  }
}

TEST_F(KvLayerTest, RepeatedAppendSucceedsWithoutEffect) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  const TokenIds ids = IdsFrom(11, 70);
  Append(layer, ids, 10);
  auto repeat = layer.BeginAppend(KeyOf(ids), 10);
  ASSERT_TRUE(repeat.ok());
  EXPECT_TRUE(repeat->is_repeat());
  EXPECT_EQ(repeat->start(), 10);
  EXPECT_EQ(repeat->num_tokens(), 70);
  repeat->Commit();
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 80)), "");
}

TEST_F(KvLayerTest, DroppedAppendDoesNotSpoilTheRepeat) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  EXPECT_TRUE(TryAppend(layer, 5).ok());
  const auto repeat = layer.BeginAppend(KeyOf(IdsFrom(1, 10)), 0);
  ASSERT_TRUE(repeat.ok());
  EXPECT_TRUE(repeat->is_repeat());
}

TEST_F(KvLayerTest, SameBytesWithoutExpectedLengthAreAppendedAgain) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  Append(layer, IdsFrom(1, 10));
  EXPECT_EQ(
      CompareWithIds(layer.Snapshot(), Joined(IdsFrom(1, 10), IdsFrom(1, 10))),
      "");
}

TEST_F(KvLayerTest, OtherBytesAtTheSamePlaceAreAMismatch) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  const absl::Status status =
      layer.BeginAppend(KeyOf(IdsFrom(2, 10)), 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), Reason::kLengthMismatch);
  EXPECT_EQ(FoundLengthOf(status), 10);
  EXPECT_EQ(status.message(),
            "session.expected_length must equal the layer's length; got 0 vs "
            "10");
}

TEST_F(KvLayerTest, RepeatAfterNewerAppendIsAMismatch) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  Append(layer, IdsFrom(11, 1));
  const auto late = layer.BeginAppend(KeyOf(IdsFrom(1, 10)), 0);
  EXPECT_EQ(FoundLengthOf(late.status()), 11);
}

TEST_F(KvLayerTest, RepeatAfterTruncationIsAMismatch) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  ASSERT_TRUE(layer.Truncate(5).ok());
  const auto late = layer.BeginAppend(KeyOf(IdsFrom(1, 10)), 0);
  EXPECT_EQ(FoundLengthOf(late.status()), 5);
}

TEST_F(KvLayerTest, ForkKnowsNoRepeat) {
  KvLayer& source = LayerOf(IdsFrom(1, 10));
  KvLayer& fork = Fork(source, 10);
  EXPECT_EQ(FoundLengthOf(fork.BeginAppend(KeyOf(IdsFrom(1, 10)), 0).status()),
            10);
  EXPECT_TRUE(source.BeginAppend(KeyOf(IdsFrom(1, 10)), 0)->is_repeat());
}

TEST_F(KvLayerTest, AppendBeyondMaxLengthIsRefused) {
  KvLayer& layer = NewLayer(/*window=*/0, /*max_length=*/100);
  Append(layer, IdsFrom(1, 90));
  const absl::Status status = TryAppend(layer, 11);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), Reason::kMaxLength);
  EXPECT_EQ(status.message(),
            "key: the layer's length must stay within the session's "
            "max_length of 100; got 90 + 11");
  EXPECT_EQ(ReasonOf(TryAppend(layer, INT64_MAX)), Reason::kMaxLength);
  EXPECT_TRUE(TryAppend(layer, 10).ok());
}

TEST_F(KvLayerTest, TruncatedLayerGrowsAgainWhileASnapshotStaysAsItWas) {
  for (const int64_t length : {0, 1, 63, 64, 65, 100, 128, 199}) {
    KvLayer& layer = LayerOf(IdsFrom(1, 200));
    const KvSnapshot before = layer.Snapshot();
    ASSERT_TRUE(layer.Truncate(length).ok());
    const KvSnapshot cut = layer.Snapshot();
    Append(layer, IdsFrom(1000, 70));
    EXPECT_EQ(CompareWithIds(before, IdsFrom(1, 200)), "");
    EXPECT_EQ(CompareWithIds(cut, IdsFrom(1, length)), "");
    EXPECT_EQ(CompareWithIds(layer.Snapshot(),
                             Joined(IdsFrom(1, length), IdsFrom(1000, 70))),
              "");
    EXPECT_TRUE(HasZeroTail(layer.Snapshot()));
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
  for (const int64_t length : {0, 1, 63, 64, 65, 100}) {
    KvLayer& source = LayerOf(IdsFrom(1, 100));
    const KvSnapshot before = source.Snapshot();
    KvLayer& fork = Fork(source, length);
    Append(source, IdsFrom(2000, 40));
    Append(fork, IdsFrom(3000, 80));
    Append(source, IdsFrom(4000, 1));
    EXPECT_EQ(CompareWithIds(before, IdsFrom(1, 100)), "");
    const TokenIds grown = Joined(IdsFrom(1, 100), IdsFrom(2000, 40));
    EXPECT_EQ(
        CompareWithIds(source.Snapshot(), Joined(grown, IdsFrom(4000, 1))), "");
    EXPECT_EQ(CompareWithIds(fork.Snapshot(),
                             Joined(IdsFrom(1, length), IdsFrom(3000, 80))),
              "");
    EXPECT_TRUE(HasZeroTail(source.Snapshot()));
    EXPECT_TRUE(HasZeroTail(fork.Snapshot()));
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

// Room for two pages.
class SmallPoolTest : public KvLayerTest {
 protected:
  SmallPoolTest()
      : KvLayerTest(2 * KvFormat{DataType::kBF16, 2, 5, 3}.page_bytes()) {}
};

TEST_F(SmallPoolTest, RefusedAppendLeavesNoTraceAndHarmsNoOther) {
  KvLayer& other = LayerOf(IdsFrom(500, 30));
  KvLayer& layer = LayerOf(IdsFrom(1, 60));
  const absl::Status status = TryAppend(layer, 5, 60);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), Reason::kKvMemory);
  EXPECT_EQ(pool_.used_bytes(), 2 * page_bytes());
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 60)), "");
  EXPECT_TRUE(HasZeroTail(layer.Snapshot()));
  EXPECT_EQ(CompareWithIds(other.Snapshot(), IdsFrom(500, 30)), "");
  EXPECT_TRUE(layer.BeginAppend(KeyOf(IdsFrom(1, 60)), 0)->is_repeat());
  Append(layer, IdsFrom(61, 4), 60);
  ASSERT_TRUE(other.Truncate(0).ok());
  Append(layer, IdsFrom(65, 1), 64);
  EXPECT_EQ(CompareWithIds(layer.Snapshot(), IdsFrom(1, 65)), "");
}

TEST_F(SmallPoolTest, RefusedCopyOnWriteLeavesTheForkAsItWas) {
  KvLayer& source = LayerOf(IdsFrom(1, 70));
  KvLayer& fork = Fork(source, 70);
  EXPECT_EQ(ReasonOf(TryAppend(fork, 1)), Reason::kKvMemory);
  EXPECT_EQ(CompareWithIds(fork.Snapshot(), IdsFrom(1, 70)), "");
  Append(source, IdsFrom(71, 58));
  EXPECT_EQ(CompareWithIds(fork.Snapshot(), IdsFrom(1, 70)), "");
}

TEST_F(KvLayerTest, WriteOutsideTheAppendEndsTheProcess) {
  KvLayer& layer = LayerOf(IdsFrom(1, 10));
  const std::vector<float> rows(64 * 5);
  auto append = layer.BeginAppend({.num_tokens = 64}, std::nullopt);
  ASSERT_TRUE(append.ok());
  EXPECT_DEATH(append->Write(0, 9, 1, rows.data(), rows.data()), "token");
  EXPECT_DEATH(append->Write(0, 74, 1, rows.data(), rows.data()), "token");
  EXPECT_DEATH(append->Write(0, 60, 5, rows.data(), rows.data()), "place");
  EXPECT_DEATH(append->Write(2, 10, 1, rows.data(), rows.data()), "kv_head");
}

}  // namespace
}  // namespace attn
