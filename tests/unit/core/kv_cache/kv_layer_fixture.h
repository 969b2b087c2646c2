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

class KvLayerTest : public testing::Test {
 protected:
  explicit KvLayerTest(int64_t max_bytes = int64_t{1} << 26)
      : pool_(max_bytes) {}
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

inline TokenIds Joined(TokenIds a, const TokenIds& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace attn::test
