// Every rule about the mask of a request.
#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

class MaskRuleTest : public testing::TestWithParam<ValidationRule> {};

TEST_P(MaskRuleTest, IsRefusedWithTheExactError) {
  ExpectRefused(MakeSpec(ValidOptions()), GetParam());
}

using S = RequestSpec;

INSTANTIATE_TEST_SUITE_P(
    Mask, MaskRuleTest,
    testing::Values(
        Tensor(
            "LongerThanKvLen",
            [](S& s) {
              SetMask(s, DataType::kBool, {3, 6});
            },
            "attn_mask.shape[1]", "must be at most kv_len 5; got 6 in [3, 6]"),
        Tensor(
            "WrongRows",
            [](S& s) {
              SetMask(s, DataType::kBool, {2, 5});
            },
            "attn_mask.shape[0]",
            "must be 1 or 3 to broadcast to [2, 4, 3, 5]; got 2 in [2, 5]"),
        Tensor(
            "NoRows",
            [](S& s) {
              SetMask(s, DataType::kBool, {0, 5});
            },
            "attn_mask.shape[0]",
            "must be 1 or 3 to broadcast to [2, 4, 3, 5]; got 0 in [0, 5]"),
        Tensor(
            "KvHeadsInsteadOfHeads",
            [](S& s) {
              SetMask(s, DataType::kBool, {2, 2, 3, 5});
            },
            "attn_mask.shape[1]",
            "must be 1 or 4 to broadcast to [2, 4, 3, 5]; got 2 in [2, 2, 3, "
            "5]"),
        Tensor(
            "WrongBatch",
            [](S& s) {
              SetMask(s, DataType::kBool, {3, 4, 3, 5});
            },
            "attn_mask.shape[0]",
            "must be 1 or 2 to broadcast to [2, 4, 3, 5]; got 3 in [3, 4, 3, "
            "5]"),
        Tensor(
            "FiveAxes",
            [](S& s) {
              SetMask(s, DataType::kBool, {1, 2, 4, 3, 5});
            },
            "attn_mask.shape",
            "must have at most 4 axes to broadcast to [2, 4, 3, 5]; got [1, 2, "
            "4, 3, 5]"),
        Tensor(
            "OtherFloat",
            [](S& s) {
              SetMask(s, DataType::kF16, {3, 5});
            },
            "attn_mask.dtype", "must be BOOL, F32 or query.dtype F32; got F16"),
        Tensor(
            "Integers",
            [](S& s) {
              SetMask(s, DataType::kI32, {3, 5});
            },
            "attn_mask.dtype", "must be BOOL, F32 or query.dtype F32; got I32"),
        Tensor(
            "UnknownDtype",
            [](S& s) {
              SetMask(s, static_cast<DataType>(8), {3, 5});
            },
            "attn_mask.dtype",
            "must be a DataType other than unspecified; got unknown (8)"),
        Tensor(
            "TooFewBytes",
            [](S& s) {
              SetMask(s, DataType::kBool, {3, 5});
              s.attn_mask.data_bytes = 14;
            },
            "attn_mask.data",
            "must hold 15 bytes (shape [3, 5] of BOOL); got 14")),
    NameOfRule);

}  // namespace
}  // namespace attn::test
