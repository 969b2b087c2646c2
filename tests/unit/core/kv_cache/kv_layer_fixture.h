// Layers on one pool, whose gauges return to zero after every test.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "core/kv_cache/kv_layer.h"
#include "gtest/gtest.h"
#include "tests/support/kv_tokens.h"

namespace attn::test {

inline constexpr int64_t kManyTokens = 100000;
// Dims that no vector divides.
inline constexpr KvFormat kPlainFormat{DataType::kBF16, 2, 5, 3};

inline TokenIds Joined(TokenIds a, const TokenIds& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class KvLayerTest : public testing::Test {
 protected:
  explicit KvLayerTest(int64_t max_bytes = int64_t{1} << 26,
                       const KvFormat& format = kPlainFormat)
      : format_(format), pool_(max_bytes) {}
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

  // Cuts a layer of 200 tokens, which costs nothing, and lets it grow again:
  // it, and snapshots from before and after the cut, hold their own tokens.
  void ExpectCutLayerGrowsAgain(int64_t length) {
    SCOPED_TRACE(testing::Message() << "cut to " << length);
    KvLayer& layer = LayerOf(IdsFrom(1, 200));
    const KvSnapshot before = layer.Snapshot();
    const int64_t used_bytes = pool_.used_bytes();
    ASSERT_TRUE(layer.Truncate(length).ok());
    EXPECT_EQ(pool_.used_bytes(), used_bytes);
    const KvSnapshot cut = layer.Snapshot();
    Append(layer, IdsFrom(1000, 70));
    ExpectTokens(before, IdsFrom(1, 200));
    ExpectTokens(cut, IdsFrom(1, length));
    ExpectTokens(layer.Snapshot(),
                 Joined(IdsFrom(1, length), IdsFrom(1000, 70)));
    EXPECT_TRUE(HasZeroTail(layer.Snapshot()));
  }

  // Forks a layer of 140 tokens and lets both grow: each, and a snapshot from
  // before, hold their own tokens.
  void ExpectForkAndSourceApart(int64_t length) {
    SCOPED_TRACE(testing::Message() << "forked at " << length);
    KvLayer& source = LayerOf(IdsFrom(1, 140));
    const KvSnapshot before = source.Snapshot();
    KvLayer& fork = Fork(source, length);
    Append(source, IdsFrom(2000, 60));
    Append(fork, IdsFrom(3000, 80));
    Append(source, IdsFrom(4000, 1));
    ExpectTokens(before, IdsFrom(1, 140));
    const TokenIds grown = Joined(IdsFrom(1, 140), IdsFrom(2000, 60));
    ExpectTokens(source.Snapshot(), Joined(grown, IdsFrom(4000, 1)));
    ExpectTokens(fork.Snapshot(),
                 Joined(IdsFrom(1, length), IdsFrom(3000, 80)));
    EXPECT_TRUE(HasZeroTail(source.Snapshot()));
    EXPECT_TRUE(HasZeroTail(fork.Snapshot()));
  }

  static void ExpectTokens(const KvSnapshot& snapshot, const TokenIds& ids) {
    EXPECT_EQ(CompareWithIds(snapshot, ids), "");
  }

  int64_t page_bytes() const { return format_.page_bytes(); }

  const KvFormat format_;
  PagePool pool_;
  std::deque<KvLayer> layers_;
};

}  // namespace attn::test
