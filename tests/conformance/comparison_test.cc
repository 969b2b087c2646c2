// The comparison with the reference, which other tests stand on, finds every
// number that is wrong.
#include "tests/support/comparison.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/kernel_runner.h"

namespace attn::test {
namespace {

// Rows 0 and 1 see no key.
AttentionCase MakeSomeBlind() {
  CaseOptions options;
  options.q_len = 5;
  options.kv_len = 3;
  options.head_dim = options.value_head_dim = 4;
  options.params.causal = CausalMode::kBottomRight;
  options.output.return_lse = true;
  options.output.weights = WeightsMode::kProbabilities;
  options.output.top_k = 2;
  return MakeCase(options);
}

class ComparisonTest : public testing::Test {
 protected:
  // Spoils each float of `part` in turn.
  void ExpectEachMatters(std::vector<std::byte> AttentionOutputs::*part) {
    for (size_t i = 0; i < (good_.*part).size(); i += 4) {
      float right;
      std::memcpy(&right, (good_.*part).data() + i, 4);
      const float beside = std::isfinite(right) ? right + 1 : 0;
      for (const float wrong : {beside, NAN, INFINITY}) {
        AttentionOutputs bad = good_;
        std::memcpy((bad.*part).data() + i, &wrong, 4);
        EXPECT_NE(CompareWithReference(case_, bad), "")
            << "element " << i / 4 << ": " << wrong << " for " << right;
      }
    }
  }

  const AttentionCase case_ = MakeSomeBlind();
  const AttentionOutputs good_ = RunKernel(case_, DefaultGemm());
};

TEST_F(ComparisonTest, RightAnswersPass) {
  EXPECT_EQ(CompareWithReference(case_, good_), "");
}

TEST_F(ComparisonTest, EveryOutputMatters) {
  ExpectEachMatters(&AttentionOutputs::output);
}

TEST_F(ComparisonTest, EveryLseMatters) {
  ExpectEachMatters(&AttentionOutputs::lse);
}

TEST_F(ComparisonTest, EveryWeightMatters) {
  ExpectEachMatters(&AttentionOutputs::weights);
}

TEST_F(ComparisonTest, EveryTopKeyAndItsProbabilityMatters) {
  ExpectEachMatters(&AttentionOutputs::top_probabilities);
  for (size_t i = 0; i < good_.top_indices.size(); i += 4) {
    AttentionOutputs bad = good_;
    const int32_t wrong = 7;  // There is no such key.
    std::memcpy(bad.top_indices.data() + i, &wrong, 4);
    EXPECT_NE(CompareWithReference(case_, bad), "") << "place " << i / 4;
  }
}

}  // namespace
}  // namespace attn::test
