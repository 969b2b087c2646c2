// Every rule about how the shapes of a request fit together, in each layout.
#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

RequestSpec ValidBse() {
  CaseOptions options = ValidOptions();
  options.layout = Layout::kBSE;
  return MakeSpec(options);
}

class ShapeRuleTest : public testing::TestWithParam<ValidationRule> {};

TEST_P(ShapeRuleTest, IsRefusedWithTheExactError) {
  ExpectRefused(MakeSpec(ValidOptions()), GetParam());
}

using S = RequestSpec;

INSTANTIATE_TEST_SUITE_P(
    Shapes, ShapeRuleTest,
    testing::Values(
        Tensor(
            "QueryRank",
            [](S& s) {
              Reshape(s.query, {2, 3, 32});
            },
            "query.shape",
            "must have 4 axes in LAYOUT_BHSD; got 3 in [2, 3, 32]"),
        Tensor(
            "KeyRankInBshd",
            [](S& s) {
              s.layout = Layout::kBSHD;
              Reshape(s.key, {2, 5, 2, 8, 1});
            },
            "key.shape",
            "must have 4 axes in LAYOUT_BSHD; got 5 in [2, 5, 2, 8, 1]"),
        Tensor(
            "ScalarQuery", [](S& s) { Reshape(s.query, {}); }, "query.shape",
            "must have 4 axes in LAYOUT_BHSD; got 0 in []"),
        Tensor(
            "NoBatch",
            [](S& s) {
              Reshape(s.query, {0, 4, 3, 8});
            },
            "query.shape[0]", "must be at least 1; got 0"),
        Tensor(
            "NoHeads",
            [](S& s) {
              Reshape(s.query, {2, 0, 3, 8});
            },
            "query.shape[1]", "must be at least 1; got 0"),
        Tensor(
            "NoKvHeads",
            [](S& s) {
              Reshape(s.key, {2, 0, 5, 8});
            },
            "key.shape[1]", "must be at least 1; got 0"),
        Tensor(
            "NoHeadDim",
            [](S& s) {
              Reshape(s.query, {2, 4, 3, 0});
            },
            "query.shape[3]", "must be at least 1; got 0"),
        Tensor(
            "NoValueHeadDim",
            [](S& s) {
              Reshape(s.value, {2, 2, 5, 0});
            },
            "value.shape[3]", "must be at least 1; got 0"),
        Tensor(
            "KeyBatch",
            [](S& s) {
              Reshape(s.key, {1, 2, 5, 8});
            },
            "key.shape[0]", "must equal query.shape[0]; got 1 vs 2"),
        Tensor(
            "ValueBatch",
            [](S& s) {
              Reshape(s.value, {3, 2, 5, 6});
            },
            "value.shape[0]", "must equal key.shape[0]; got 3 vs 2"),
        Tensor(
            "KeyHeadDim",
            [](S& s) {
              Reshape(s.key, {2, 2, 5, 16});
            },
            "key.shape[3]", "must equal query.shape[3]; got 16 vs 8"),
        Tensor(
            "ValueLength",
            [](S& s) {
              Reshape(s.value, {2, 2, 4, 6});
            },
            "value.shape[2]", "must equal key.shape[2]; got 4 vs 5"),
        Tensor(
            "ValueHeads",
            [](S& s) {
              Reshape(s.value, {2, 1, 5, 6});
            },
            "value.shape[1]", "must equal key.shape[1]; got 1 vs 2"),
        Tensor(
            "HeadsNotMultiple",
            [](S& s) {
              Reshape(s.key, {2, 3, 5, 8});
              Reshape(s.value, {2, 3, 5, 6});
            },
            "query.shape[1]",
            "(num_q_heads) must be a multiple of key.shape[1] (num_kv_heads); "
            "got 4 vs 3"),
        Tensor(
            "MoreKvHeadsThanQueryHeads",
            [](S& s) {
              Reshape(s.key, {2, 8, 5, 8});
              Reshape(s.value, {2, 8, 5, 6});
            },
            "query.shape[1]",
            "(num_q_heads) must be a multiple of key.shape[1] (num_kv_heads); "
            "got 4 vs 8"),
        Option(
            "QueryHeadsDisagree", [](S& s) { s.num_q_heads = 5; },
            "num_q_heads",
            "must be absent or equal query.shape[1]; got 5 vs 4"),
        Option(
            "KvHeadsDisagree", [](S& s) { s.num_kv_heads = 4; }, "num_kv_heads",
            "must be absent or equal key.shape[1]; got 4 vs 2")),
    NameOfRule);

INSTANTIATE_TEST_SUITE_P(
    LayoutBse, ShapeRuleTest,
    testing::Values(
        Option(
            "WithoutQueryHeads",
            [](S& s) {
              s = ValidBse();
              s.num_q_heads = 0;
            },
            "num_q_heads", "must be at least 1 with LAYOUT_BSE; got 0"),
        Option(
            "WithoutKvHeads",
            [](S& s) {
              s = ValidBse();
              s.num_kv_heads = 0;
            },
            "num_kv_heads", "must be at least 1 with LAYOUT_BSE; got 0"),
        Tensor(
            "QueryDimIsNoMultiple",
            [](S& s) {
              s = ValidBse();
              s.num_q_heads = 5;
            },
            "query.shape[2]",
            "must be a multiple of num_q_heads; got 32 with 5"),
        Tensor(
            "MoreHeadsThanElements",
            [](S& s) {
              s = ValidBse();
              s.num_q_heads = 4294967295;
            },
            "query.shape[2]",
            "must be a multiple of num_q_heads; got 32 with 4294967295"),
        Tensor(
            "KeyHeadDimDiffers",
            [](S& s) {
              s = ValidBse();
              s.num_kv_heads = 4;
            },
            "key.shape[2] / num_kv_heads",
            "must equal query.shape[2] / num_q_heads; got 4 vs 8"),
        Option(
            "HeadsAreNoMultiple",
            [](S& s) {
              s = ValidBse();
              s.num_kv_heads = 3;
              Reshape(s.key, {2, 5, 24});
              Reshape(s.value, {2, 5, 18});
            },
            "num_q_heads", "must be a multiple of num_kv_heads; got 4 vs 3"),
        Tensor(
            "FourAxes",
            [](S& s) {
              s = ValidBse();
              Reshape(s.query, {2, 3, 4, 8});
            },
            "query.shape",
            "must have 3 axes in LAYOUT_BSE; got 4 in [2, 3, 4, 8]")),
    NameOfRule);

}  // namespace
}  // namespace attn::test
