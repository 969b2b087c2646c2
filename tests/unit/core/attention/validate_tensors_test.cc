// Every rule about the tensors of a request: one thing changed in a valid one,
// and the exact error that must follow.
#include <cstdint>

#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

constexpr int64_t k32 = int64_t{1} << 32;
constexpr int64_t k62 = int64_t{1} << 62;

class TensorRuleTest : public testing::TestWithParam<ValidationRule> {};

TEST_P(TensorRuleTest, IsRefusedWithTheExactError) {
  ExpectRefused(MakeSpec(ValidOptions()), GetParam());
}

using S = RequestSpec;

INSTANTIATE_TEST_SUITE_P(
    SingleTensors, TensorRuleTest,
    testing::Values(
        Tensor(
            "NoQuery", [](S& s) { s.query.is_present = false; }, "query",
            "is required; got nothing"),
        Tensor(
            "NoKey", [](S& s) { s.key.is_present = false; }, "key",
            "is required; got nothing"),
        Tensor(
            "NoValue", [](S& s) { s.value.is_present = false; }, "value",
            "is required; got nothing"),
        Tensor(
            "DtypeUnspecified",
            [](S& s) { s.key.dtype = DataType::kUnspecified; }, "key.dtype",
            "must be a DataType other than unspecified; got unspecified (0)"),
        Tensor(
            "DtypeUnknown",
            [](S& s) { s.value.dtype = static_cast<DataType>(99); },
            "value.dtype",
            "must be a DataType other than unspecified; got unknown (99)"),
        Tensor(
            "DtypeNegative",
            [](S& s) { s.query.dtype = static_cast<DataType>(-1); },
            "query.dtype",
            "must be a DataType other than unspecified; got unknown (-1)"),
        Tensor(
            "NineAxes", [](S& s) { s.query.dims.assign(9, 1); }, "query.shape",
            "must have at most 8 axes; got 9"),
        Tensor(
            "NegativeLength",
            [](S& s) {
              s.key.dims = {2, 2, -5, 8};
            },
            "key.shape",
            "must hold lengths from 0 whose product is below 2^63; got [2, 2, "
            "-5, 8]"),
        Tensor(
            "ProductOverflows",
            [](S& s) {
              s.query.dims = {k32, k32, 1, 1};
            },
            "query.shape",
            "must hold lengths from 0 whose product is below 2^63; got "
            "[4294967296, 4294967296, 1, 1]"),
        Tensor(
            "ProductOverflowsBesideZero",
            [](S& s) {
              s.value.dims = {k62, 4, 0, 1};
            },
            "value.shape",
            "must hold lengths from 0 whose product is below 2^63; got "
            "[4611686018427387904, 4, 0, 1]"),
        Tensor(
            "ByteCountOverflows", [](S& s) { s.key.dims = {k62}; }, "key.data",
            "must hold 2^63 or more bytes (shape [4611686018427387904] of "
            "F32); got 640"),
        Tensor(
            "TooFewBytes", [](S& s) { --s.query.data_bytes; }, "query.data",
            "must hold 768 bytes (shape [2, 4, 3, 8] of F32); got 767"),
        Tensor(
            "TooManyBytes", [](S& s) { ++s.value.data_bytes; }, "value.data",
            "must hold 480 bytes (shape [2, 2, 5, 6] of F32); got 481"),
        Tensor(
            "NoBytes", [](S& s) { s.key.data_bytes = 0; }, "key.data",
            "must hold 640 bytes (shape [2, 2, 5, 8] of F32); got 0")),
    NameOfRule);

INSTANTIATE_TEST_SUITE_P(
    Dtypes, TensorRuleTest,
    testing::Values(
        Tensor(
            "QueryOfIntegers", [](S& s) { Retype(s.query, DataType::kI32); },
            "query.dtype", "must be F32, F16, BF16 or F64; got I32"),
        Tensor(
            "QueryOfBools", [](S& s) { Retype(s.query, DataType::kBool); },
            "query.dtype", "must be F32, F16, BF16 or F64; got BOOL"),
        Tensor(
            "KeyDiffers", [](S& s) { Retype(s.key, DataType::kF16); },
            "key.dtype", "must equal query.dtype F32; got F16"),
        Tensor(
            "ValueDiffers", [](S& s) { Retype(s.value, DataType::kBF16); },
            "value.dtype", "must equal query.dtype F32; got BF16"),
        Option(
            "OutputOfIntegers", [](S& s) { s.output.dtype = DataType::kI64; },
            "output.dtype", "must be F32, F16, BF16 or F64; got I64 (7)"),
        Option(
            "OutputUnknown",
            [](S& s) { s.output.dtype = static_cast<DataType>(42); },
            "output.dtype", "must be F32, F16, BF16 or F64; got unknown (42)")),
    NameOfRule);

}  // namespace
}  // namespace attn::test
