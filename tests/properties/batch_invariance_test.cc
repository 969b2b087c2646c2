// Promise 2: the bytes of an answer are a function of its request alone. The
// same requests run alone, in random batches, in another order, on 1 to 4
// workers, and must give the same bytes each time.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "core/attention/kernel_choice.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/comparison.h"
#include "tests/support/engine_runner.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

DataType RandomDtype(Random& random) {
  const DataType dtypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16,
                             DataType::kF64};
  return dtypes[random.Between(0, 3)];
}

// Sizes for the small-q kernel, the prefill kernel and, smaller since it is
// slow, the one in f64.
CaseOptions RandomSizes(Random& random) {
  const int64_t groups[] = {1, 2, 4};
  CaseOptions o;
  o.dtype = RandomDtype(random);
  const bool is_f64 = o.dtype == DataType::kF64;
  o.batch_size = random.Between(1, 3);
  o.num_kv_heads = random.Between(1, 3);
  o.num_q_heads = o.num_kv_heads * groups[random.Between(0, 2)];
  const int64_t most_rows = is_f64 ? 40 : Scaled(300, 40);
  o.q_len = random.Between(1, random.Chance(0.4) ? 4 : most_rows);
  o.kv_len = random.Between(0, is_f64 ? 100 : Scaled(600, 60));
  o.head_dim = random.Between(1, is_f64 ? 40 : 130);
  o.value_head_dim = random.Between(1, is_f64 ? 40 : 130);
  o.layout = static_cast<Layout>(random.Between(1, 3));
  return o;
}

std::vector<float> PerHead(const CaseOptions& o, Random& random) {
  std::vector<float> values;
  for (int64_t head = 0; head < o.num_q_heads; ++head) {
    values.push_back(static_cast<float>(random.Gaussian() / 4));
  }
  return values;
}

void AddRope(CaseOptions& o, Random& random) {
  RopeParams rope{.rotary_dim = 2 * random.Between(1, o.head_dim / 2),
                  .is_interleaved = random.Chance(0.5)};
  if (random.Chance(0.3)) {
    o.rope_table_rows = std::max(o.q_len, o.kv_len);
  } else {
    rope.base = 10000;
    for (int64_t j = 0; j < o.kv_len; ++j) {
      rope.key_positions.push_back(random.Between(-1000, 100000));
    }
  }
  o.params.rope = rope;
}

void AddMask(CaseOptions& o, Random& random) {
  o.has_mask = true;
  if (random.Chance(0.5)) o.mask_dtype = DataType::kF32;
  o.mask_dims = {o.q_len, o.kv_len};
  if (random.Chance(0.3)) o.mask_dims = {o.batch_size, 1, 1, o.kv_len};
}

// Any mix of all options.
CaseOptions RandomOptions(Random& random) {
  CaseOptions o = RandomSizes(random);
  o.params.causal = static_cast<CausalMode>(random.Between(0, 2));
  if (random.Chance(0.2)) o.params.causal_offset = random.Between(-9, 300);
  if (random.Chance(0.3)) o.params.left_window = random.Between(0, 200);
  if (random.Chance(0.2)) o.params.right_window = random.Between(0, 100);
  if (random.Chance(0.3)) o.params.softcap = 5;
  if (random.Chance(0.2)) o.params.alibi_slopes = PerHead(o, random);
  if (random.Chance(0.2)) o.params.sinks = PerHead(o, random);
  if (random.Chance(0.3) && o.head_dim >= 2) AddRope(o, random);
  if (random.Chance(0.3)) AddMask(o, random);
  if (random.Chance(0.2)) {
    for (int64_t b = 0; b < o.batch_size; ++b) {
      o.kv_lengths.push_back(random.Between(0, o.kv_len));
    }
  }
  o.output.return_lse = random.Chance(0.5);
  if (random.Chance(0.2)) {
    o.output.weights = static_cast<WeightsMode>(random.Between(1, 4));
  }
  if (random.Chance(0.2)) o.output.top_k = random.Between(1, 30);
  if (random.Chance(0.2)) o.output.dtype = RandomDtype(random);
  o.seed = random.Next();
  return o;
}

std::vector<AttentionCase> RandomCases(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<AttentionCase> cases;
  for (int64_t i = 0; i < count; ++i) {
    cases.push_back(MakeCase(RandomOptions(random)));
  }
  return cases;
}

// Nothing is refused for the time it would wait.
EngineOptions Patient() {
  EngineOptions options;
  options.admission.max_queue_wait = std::chrono::hours(1);
  return options;
}

TEST(BatchInvarianceTest, BytesAreTheSameAloneAndInAnyBatch) {
  constexpr uint64_t kSeed = 20261121;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  const std::vector<AttentionCase> cases = RandomCases(Scaled(48, 8), kSeed);
  std::vector<AttentionOutputs> alone;
  {
    EngineRunner runner(/*num_workers=*/1);
    for (const AttentionCase& c : cases) alone.push_back(runner.RunOne(c));
  }
  Random random(kSeed + 1);
  for (const int num_workers : {1, 2, 3, 4}) {
    EngineRunner runner(num_workers, Patient());
    std::vector<size_t> order;
    for (size_t i = 0; i < 2 * cases.size(); ++i) order.push_back(i / 2);
    for (size_t i = order.size(); i-- > 1;) {
      std::swap(order[i], order[static_cast<size_t>(
                              random.Between(0, static_cast<int64_t>(i)))]);
    }
    std::vector<const AttentionCase*> shuffled;
    for (const size_t index : order) shuffled.push_back(&cases[index]);
    const auto results = runner.Run(shuffled);
    for (size_t i = 0; i < order.size(); ++i) {
      ASSERT_TRUE(results[i].ok()) << results[i].status();
      ASSERT_TRUE(*results[i] == alone[order[i]])
          << "case " << order[i] << " with " << num_workers << " workers";
    }
  }
}

TEST(BatchInvarianceTest, AnswersMatchTheReference) {
  EngineRunner runner(/*num_workers=*/2);
  for (const AttentionCase& c : RandomCases(Scaled(20, 8), 7)) {
    ASSERT_EQ(CompareWithReference(c, runner.RunOne(c)), "");
  }
}

// A row's bytes in a small-q request, whatever the other rows ask.
TEST(BatchInvarianceTest, RowOfASmallQRequestDoesNotDependOnTheOtherRows) {
  Random random(11);
  for (int round = 0; round < 20; ++round) {
    CaseOptions options;
    options.num_q_heads = 4;
    options.num_kv_heads = 1;
    options.q_len = 4;
    options.kv_len = random.Between(1, 300);
    options.head_dim = random.Between(1, 70);
    options.params.causal = static_cast<CausalMode>(random.Between(0, 2));
    options.seed = random.Next();
    AttentionCase made = MakeCase(options);
    ASSERT_EQ(ChooseKernel(made.plan).kind, KernelKind::kDecode);
    EngineRunner runner(/*num_workers=*/1);
    const auto before = runner.RunOne(made).output;
    // All query rows but the last of the last head get other numbers.
    const auto row_bytes = static_cast<size_t>(options.head_dim) * 4;
    const auto other =
        RandomTensor(DataType::kF32, 15 * options.head_dim, random);
    std::copy(other.begin(), other.end(), made.query.begin());
    ASSERT_EQ(made.query.size(), 16 * row_bytes);
    const auto after = runner.RunOne(made).output;
    ASSERT_FALSE(before == after);
    const auto last = static_cast<ptrdiff_t>(before.size() / 16 * 15);
    ASSERT_TRUE(
        std::equal(before.begin() + last, before.end(), after.begin() + last))
        << "round " << round;
  }
}

// One sequence of a batched request computes as the sequence alone does.
TEST(BatchInvarianceTest, SequenceOfABatchEqualsTheSequenceAlone) {
  CaseOptions options;
  options.batch_size = 3;
  options.num_q_heads = 4;
  options.q_len = 100;
  options.kv_len = 333;
  const AttentionCase together = MakeCase(options);
  EngineRunner runner(/*num_workers=*/2);
  const AttentionOutputs all = runner.RunOne(together);
  options.batch_size = 1;
  for (size_t b = 0; b < 3; ++b) {
    AttentionCase single = MakeCase(options);
    const auto cut = [b](const std::vector<std::byte>& from) {
      const auto size = static_cast<ptrdiff_t>(from.size() / 3);
      const auto start = from.begin() + static_cast<ptrdiff_t>(b) * size;
      return std::vector<std::byte>(start, start + size);
    };
    single.query = cut(together.query);
    single.key = cut(together.key);
    single.value = cut(together.value);
    ASSERT_TRUE(runner.RunOne(single).output == cut(all.output)) << b;
  }
}

}  // namespace
}  // namespace attn::test
