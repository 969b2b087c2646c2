// Promise: merging the answers over the parts of any partition of the keys
// gives the answer over all of them. Parts are answered by the kernels; the
// merged answer must keep the bound that the kernels keep for the whole.
#include "core/attention/merge.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/comparison.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using Keys = std::vector<int64_t>;

// A problem over all keys; F32, BHSD, lse wanted.
CaseOptions WholeOptions(Random& random) {
  CaseOptions o;
  o.batch_size = random.Between(1, 2);
  o.num_kv_heads = random.Between(1, 2);
  o.num_q_heads = o.num_kv_heads * random.Between(1, 4);
  o.q_len = random.Between(1, random.Chance(0.5) ? 4 : Scaled(60, 20));
  o.kv_len = random.Between(1, Scaled(300, 60));
  o.head_dim = 2 * random.Between(1, 40);
  o.value_head_dim = random.Between(1, 80);
  if (random.Chance(0.3)) o.params.softcap = 4;
  if (random.Chance(0.3)) {
    o.params.alibi_slopes.assign(static_cast<size_t>(o.num_q_heads), 0.0625f);
  }
  o.has_mask = random.Chance(0.5);
  o.mask_dims = {o.q_len, o.kv_len};
  o.output.return_lse = true;
  o.seed = random.Next();
  return o;
}

// Rows `keys` of a tensor [outer, kv_len, row_bytes].
std::vector<std::byte> Gather(const std::vector<std::byte>& from,
                              int64_t kv_len, const Keys& keys,
                              int64_t row_bytes) {
  std::vector<std::byte> to;
  const auto outer_bytes = static_cast<size_t>(kv_len * row_bytes);
  for (size_t start = 0; start < from.size(); start += outer_bytes) {
    for (const int64_t key : keys) {
      const auto row =
          from.begin() + static_cast<int64_t>(start) + key * row_bytes;
      to.insert(to.end(), row, row + row_bytes);
    }
  }
  return to;
}

// The same problem over some of the keys. Options that count keys are the
// caller's.
AttentionCase PartOf(const AttentionCase& whole, CaseOptions options,
                     const Keys& keys) {
  const int64_t kv_len = options.kv_len;
  options.kv_len = static_cast<int64_t>(keys.size());
  options.mask_dims = {options.q_len, options.kv_len};
  AttentionCase part = MakeCase(options);
  const auto cut = [&](const std::vector<std::byte>& from, int64_t row_bytes) {
    return Gather(from, kv_len, keys, row_bytes);
  };
  part.query = whole.query;
  part.key = cut(whole.key, options.head_dim * 4);
  part.value = cut(whole.value, options.value_head_dim * 4);
  if (options.has_mask) part.mask = cut(whole.mask, 1);
  return part;
}

AttentionOutputs MergeAnswers(const AttentionCase& whole,
                              const std::vector<AttentionOutputs>& answers) {
  std::vector<PartialAnswer> parts;
  for (const AttentionOutputs& answer : answers) {
    parts.push_back({reinterpret_cast<const float*>(answer.output.data()),
                     reinterpret_cast<const float*>(answer.lse.data())});
  }
  AttentionOutputs merged(whole.plan);
  const Geometry& g = whole.plan.geometry;
  Merge(parts, nullptr, g.batch_size * g.num_q_heads * g.q_len,
        g.value_head_dim, reinterpret_cast<float*>(merged.output.data()),
        reinterpret_cast<float*>(merged.lse.data()));
  return merged;
}

// 2 to 8 parts, some of them empty.
std::vector<Keys> Intervals(int64_t kv_len, Random& random) {
  std::vector<int64_t> cuts = {0, kv_len};
  for (int64_t i = random.Between(1, 7); i > 0; --i) {
    cuts.push_back(random.Between(0, kv_len));
  }
  std::sort(cuts.begin(), cuts.end());
  std::vector<Keys> parts;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    Keys keys(static_cast<size_t>(cuts[i + 1] - cuts[i]));
    std::iota(keys.begin(), keys.end(), cuts[i]);
    parts.push_back(std::move(keys));
  }
  return parts;
}

std::vector<Keys> Subsets(int64_t kv_len, Random& random) {
  std::vector<Keys> parts(static_cast<size_t>(random.Between(2, 8)));
  const auto last = static_cast<int64_t>(parts.size()) - 1;
  for (int64_t key = 0; key < kv_len; ++key) {
    parts[static_cast<size_t>(random.Between(0, last))].push_back(key);
  }
  return parts;
}

constexpr uint64_t kSeed = 20261121;

int64_t Rounds() { return Scaled(150, 20); }

// "" if merging the answers to `parts` keeps the whole's bound.
std::string Check(const AttentionCase& whole,
                  const std::vector<AttentionOutputs>& answers) {
  return CompareWithReference(whole, MergeAnswers(whole, answers));
}

// Structure and positions move with the part: causal_offset counts from its
// first key, so some parts are wholly masked for some rows or all.
TEST(MergePropertyTest, AnyIntervalsOfTheKeysMergeToTheWhole) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  for (int64_t round = 0; round < Rounds(); ++round) {
    CaseOptions o = WholeOptions(random);
    if (random.Chance(0.6)) o.params.causal = CausalMode::kTopLeft;
    if (random.Chance(0.3)) o.params.left_window = random.Between(0, 80);
    if (random.Chance(0.3)) o.params.right_window = random.Between(0, 80);
    const int64_t offset = random.Between(-5, o.kv_len);
    o.params.causal_offset = offset;
    if (random.Chance(0.4)) {
      RopeParams rope{.base = 10000, .is_interleaved = random.Chance(0.5)};
      for (int64_t i = 0; i < o.q_len; ++i)
        rope.positions.push_back(i + offset);
      rope.key_positions.resize(static_cast<size_t>(o.kv_len));
      std::iota(rope.key_positions.begin(), rope.key_positions.end(), 0);
      o.params.rope = rope;
    }
    const AttentionCase whole = MakeCase(o);
    std::vector<AttentionOutputs> answers;
    for (const Keys& keys : Intervals(o.kv_len, random)) {
      CaseOptions part = o;
      const int64_t start = keys.empty() ? 0 : keys.front();
      part.params.causal_offset = offset - start;
      if (o.params.rope.has_value()) part.params.rope->key_positions = keys;
      answers.push_back(RunKernel(PartOf(whole, part, keys), DefaultGemm()));
    }
    ASSERT_EQ(Check(whole, answers), "") << "round " << round;
  }
}

// Without structure a part may be any set of keys.
TEST(MergePropertyTest, AnySubsetsOfTheKeysMergeToTheWhole) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed + 1);
  for (int64_t round = 0; round < Rounds(); ++round) {
    CaseOptions o = WholeOptions(random);
    o.params.alibi_slopes.clear();  // It goes by the place of a key.
    const AttentionCase whole = MakeCase(o);
    std::vector<AttentionOutputs> answers;
    for (const Keys& keys : Subsets(o.kv_len, random)) {
      answers.push_back(RunKernel(PartOf(whole, o, keys), DefaultGemm()));
    }
    ASSERT_EQ(Check(whole, answers), "") << "round " << round;
  }
}

// Every row sees the first key, so that the part with it holds the sink of
// every row.
TEST(MergePropertyTest, SinkGoesToOnePartThatEveryRowSees) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed + 2);
  for (int64_t round = 0; round < Rounds(); ++round) {
    CaseOptions o = WholeOptions(random);
    o.has_mask = false;
    if (random.Chance(0.6)) o.params.causal = CausalMode::kTopLeft;
    o.params.causal_offset = 0;
    for (int64_t head = 0; head < o.num_q_heads; ++head) {
      o.params.sinks.push_back(static_cast<float>(3 * random.Gaussian()));
    }
    const AttentionCase whole = MakeCase(o);
    std::vector<AttentionOutputs> answers;
    bool has_sink = false;
    for (const Keys& keys : Intervals(o.kv_len, random)) {
      CaseOptions part = o;
      part.params.causal_offset = keys.empty() ? 0 : -keys.front();
      if (has_sink || keys.empty()) part.params.sinks.clear();
      has_sink = has_sink || !keys.empty();
      answers.push_back(RunKernel(PartOf(whole, part, keys), DefaultGemm()));
    }
    ASSERT_EQ(Check(whole, answers), "") << "round " << round;
  }
}

TEST(MergePropertyTest, PartsInAnotherOrderMergeToTheWhole) {
  Random random(kSeed + 3);
  CaseOptions o = WholeOptions(random);
  o.kv_len = 200;
  o.mask_dims = {o.q_len, o.kv_len};
  const AttentionCase whole = MakeCase(o);
  std::vector<AttentionOutputs> answers;
  CaseOptions part = o;
  for (const Keys& keys : Intervals(o.kv_len, random)) {
    part.params.causal_offset = keys.empty() ? 0 : -keys.front();
    answers.push_back(RunKernel(PartOf(whole, part, keys), DefaultGemm()));
  }
  ASSERT_EQ(Check(whole, answers), "");
  std::reverse(answers.begin(), answers.end());
  EXPECT_EQ(Check(whole, answers), "");
}

}  // namespace
}  // namespace attn::test
