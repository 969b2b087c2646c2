// Promise 2: the bytes of an answer are a function of its request alone. The
// same requests run alone, in random batches, in another order, on 1 to 4
// workers, and must give the same bytes each time.
#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/comparison.h"
#include "tests/support/engine_runner.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

CaseOptions RandomOptions(Random& random) {
  const int64_t groups[] = {1, 2, 4};
  const DataType dtypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16};
  CaseOptions o;
  o.batch_size = random.Between(1, 3);
  o.num_kv_heads = random.Between(1, 3);
  o.num_q_heads = o.num_kv_heads * groups[random.Between(0, 2)];
  o.q_len = random.Between(1, Scaled(300, 40));
  o.kv_len = random.Between(0, Scaled(600, 60));
  o.head_dim = random.Between(1, 130);
  o.value_head_dim = random.Between(1, 130);
  o.dtype = dtypes[random.Between(0, 2)];
  o.layout = static_cast<Layout>(random.Between(1, 3));
  o.params.causal = static_cast<CausalMode>(random.Between(0, 2));
  if (random.Chance(0.3)) o.params.left_window = random.Between(0, 200);
  if (random.Chance(0.3)) o.params.softcap = 5;
  o.has_mask = random.Chance(0.3);
  o.mask_dims = {o.q_len, o.kv_len};
  o.output.return_lse = random.Chance(0.5);
  if (random.Chance(0.2)) o.output.weights = WeightsMode::kProbabilities;
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
    EngineRunner runner(num_workers);
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
  for (const AttentionCase& c : RandomCases(Scaled(12, 4), 7)) {
    ASSERT_EQ(CompareWithReference(c, runner.RunOne(c)), "");
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
