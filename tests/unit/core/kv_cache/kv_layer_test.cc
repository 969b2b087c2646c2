// Appends: what they write, that they leave nothing when dropped or refused,
// and their repeats.
#include "core/kv_cache/kv_layer.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/unit/core/kv_cache/kv_layer_fixture.h"

namespace attn::test {
namespace {

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
  WriteIds(*append, format_, ids, 60, 100);
  for (int64_t i = 0; i < 60; ++i) {
    WriteIds(*append, format_, ids, i, i + 1);
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
        WriteIds(*append, format_, ids, 0, written);
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
            "session.layer: its length must stay within the session's "
            "max_length of 100; got 90 + 11");
  EXPECT_EQ(ReasonOf(TryAppend(layer, INT64_MAX)), Reason::kMaxLength);
  EXPECT_TRUE(TryAppend(layer, 10).ok());
}

// Room for two pages.
class SmallPoolTest : public KvLayerTest {
 protected:
  SmallPoolTest() : KvLayerTest(2 * kPlainFormat.page_bytes()) {}
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
}  // namespace attn::test
