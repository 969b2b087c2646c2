#include "tests/support/snapshot_case.h"

#include <algorithm>

#include "core/base/check.h"
#include "tests/support/kv_tokens.h"

namespace attn::test {
namespace {

float* FloatsOf(std::vector<std::byte>& bytes) {
  return reinterpret_cast<float*>(bytes.data());
}

}  // namespace

void AppendCase(KvLayer& layer, const AttentionCase& c) {
  const Geometry& g = c.plan.geometry;
  const std::vector<float> keys = ToFloats(DataType::kF32, c.key);
  const std::vector<float> values = ToFloats(DataType::kF32, c.value);
  auto append = layer.BeginAppend({.num_tokens = g.kv_len}, std::nullopt);
  ATTN_CHECK(append.ok());
  for (int64_t i = 0; i < g.kv_len;) {
    const int64_t token = append->start() + i;
    const int64_t n = std::min(g.kv_len - i, kPageTokens - token % kPageTokens);
    for (int64_t head = 0; head < g.num_kv_heads; ++head) {
      const int64_t row = head * g.kv_len + i;
      append->Write(head, token, n, keys.data() + row * g.head_dim,
                    values.data() + row * g.value_head_dim);
    }
    i += n;
  }
  append->Commit();
}

AttentionCase WithTokensOf(const AttentionCase& c, const KvSnapshot& snapshot) {
  const Geometry& g = c.plan.geometry;
  ATTN_CHECK(snapshot.length >= g.kv_len);
  AttentionCase made = c;
  std::fill(made.key.begin(), made.key.end(), std::byte{0});
  std::fill(made.value.begin(), made.value.end(), std::byte{0});
  for (int64_t h = 0; h < g.num_kv_heads; ++h) {
    const PagedHead head = snapshot.Head(h);
    for (int64_t t = snapshot.first_token; t < g.kv_len; ++t) {
      const int64_t row = h * g.kv_len + t;
      for (int64_t d = 0; d < g.head_dim; ++d) {
        FloatsOf(made.key)[row * g.head_dim + d] = KeyAt(head, t, d);
      }
      for (int64_t d = 0; d < g.value_head_dim; ++d) {
        FloatsOf(made.value)[row * g.value_head_dim + d] =
            ValueAt(head, t, d, g.value_head_dim);
      }
    }
  }
  return made;
}

}  // namespace attn::test
