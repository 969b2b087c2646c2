// Walks every rule of the contract: a valid request, one thing changed, and the
// exact error that must follow.
#include "core/attention/validate.h"

#include <cmath>
#include <limits>
#include <optional>
#include <ostream>
#include <string>

#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t k32 = int64_t{1} << 32;
constexpr int64_t k40 = int64_t{1} << 40;
constexpr int64_t k62 = int64_t{1} << 62;

// Gives the tensor a shape and the bytes that belong to it.
void Reshape(TensorSpec& tensor, const Dims& dims) {
  tensor.dims = dims;
  tensor.data_bytes =
      NumElements(dims).value_or(0) * ElementBytes(tensor.dtype);
}

void Retype(TensorSpec& tensor, DataType dtype) {
  tensor.dtype = dtype;
  Reshape(tensor, tensor.dims);
}

void SetMask(RequestSpec& spec, DataType dtype, const Dims& dims) {
  spec.attn_mask.is_present = true;
  spec.attn_mask.dtype = dtype;
  Reshape(spec.attn_mask, dims);
}

// B 2, 4 query heads on 2 KV heads, 3 rows, 5 keys, dims 8 and 6; every option.
CaseOptions ValidOptions() {
  CaseOptions options;
  options.batch_size = 2;
  options.num_q_heads = 4;
  options.num_kv_heads = 2;
  options.q_len = 3;
  options.kv_len = 5;
  options.head_dim = 8;
  options.value_head_dim = 6;
  return options;
}

RequestSpec ValidBse() {
  CaseOptions options = ValidOptions();
  options.layout = Layout::kBSE;
  return MakeSpec(options);
}

struct Rule {
  const char* name;
  void (*mutate)(RequestSpec&);
  absl::StatusCode code;
  Reason reason;
  std::optional<std::string> field;
  const char* message;
};

std::ostream& operator<<(std::ostream& out, const Rule& rule) {
  return out << rule.name;
}

Rule Tensor(const char* name, void (*mutate)(RequestSpec&), const char* field,
            const char* message) {
  return {
      name,  mutate, absl::StatusCode::kInvalidArgument, Reason::kInvalidTensor,
      field, message};
}

Rule Option(const char* name, void (*mutate)(RequestSpec&), const char* field,
            const char* message) {
  return {
      name,  mutate, absl::StatusCode::kInvalidArgument, Reason::kInvalidOption,
      field, message};
}

class ValidateRuleTest : public testing::TestWithParam<Rule> {};

TEST_P(ValidateRuleTest, IsRefusedWithTheExactError) {
  const Rule& rule = GetParam();
  RequestSpec spec = MakeSpec(ValidOptions());
  ASSERT_TRUE(ValidateRequest(spec, {}).ok());
  rule.mutate(spec);
  const absl::Status status = ValidateRequest(spec, {}).status();
  EXPECT_EQ(status.code(), rule.code);
  EXPECT_EQ(ReasonOf(status), rule.reason);
  EXPECT_EQ(FieldOf(status), rule.field);
  EXPECT_EQ(status.message(), rule.message);
}

std::string NameOf(const testing::TestParamInfo<Rule>& param_info) {
  return param_info.param.name;
}

using S = RequestSpec;

INSTANTIATE_TEST_SUITE_P(
    SingleTensors, ValidateRuleTest,
    testing::Values(
        Tensor(
            "NoQuery", [](S& s) { s.query.is_present = false; }, "query",
            "query is required; got nothing"),
        Tensor(
            "NoKey", [](S& s) { s.key.is_present = false; }, "key",
            "key is required; got nothing"),
        Tensor(
            "NoValue", [](S& s) { s.value.is_present = false; }, "value",
            "value is required; got nothing"),
        Tensor(
            "DtypeUnspecified",
            [](S& s) { s.key.dtype = DataType::kUnspecified; }, "key.dtype",
            "key.dtype must be a DataType other than unspecified; got "
            "unspecified (0)"),
        Tensor(
            "DtypeUnknown",
            [](S& s) { s.value.dtype = static_cast<DataType>(99); },
            "value.dtype",
            "value.dtype must be a DataType other than unspecified; got "
            "unknown (99)"),
        Tensor(
            "DtypeNegative",
            [](S& s) { s.query.dtype = static_cast<DataType>(-1); },
            "query.dtype",
            "query.dtype must be a DataType other than unspecified; got "
            "unknown (-1)"),
        Tensor(
            "NineAxes", [](S& s) { s.query.dims.assign(9, 1); }, "query.shape",
            "query.shape must have at most 8 axes; got 9"),
        Tensor(
            "NegativeLength",
            [](S& s) {
              s.key.dims = {2, 2, -5, 8};
            },
            "key.shape",
            "key.shape must hold lengths from 0 whose product is below "
            "2^63; got [2, 2, -5, 8]"),
        Tensor(
            "ProductOverflows",
            [](S& s) {
              s.query.dims = {k32, k32, 1, 1};
            },
            "query.shape",
            "query.shape must hold lengths from 0 whose product is below "
            "2^63; got [4294967296, 4294967296, 1, 1]"),
        Tensor(
            "ProductOverflowsBesideZero",
            [](S& s) {
              s.value.dims = {k62, 4, 0, 1};
            },
            "value.shape",
            "value.shape must hold lengths from 0 whose product is below "
            "2^63; got [4611686018427387904, 4, 0, 1]"),
        Tensor(
            "ByteCountOverflows", [](S& s) { s.key.dims = {k62}; }, "key.data",
            "key.data must hold 2^63 or more bytes (shape "
            "[4611686018427387904] of F32); got 640"),
        Tensor(
            "TooFewBytes", [](S& s) { --s.query.data_bytes; }, "query.data",
            "query.data must hold 768 bytes (shape [2, 4, 3, 8] of F32); "
            "got 767"),
        Tensor(
            "TooManyBytes", [](S& s) { ++s.value.data_bytes; }, "value.data",
            "value.data must hold 480 bytes (shape [2, 2, 5, 6] of F32); "
            "got 481"),
        Tensor(
            "NoBytes", [](S& s) { s.key.data_bytes = 0; }, "key.data",
            "key.data must hold 640 bytes (shape [2, 2, 5, 8] of F32); got "
            "0")),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Dtypes, ValidateRuleTest,
    testing::Values(
        Tensor(
            "QueryOfIntegers", [](S& s) { Retype(s.query, DataType::kI32); },
            "query.dtype",
            "query.dtype must be F32, F16, BF16 or F64; got I32"),
        Tensor(
            "QueryOfBools", [](S& s) { Retype(s.query, DataType::kBool); },
            "query.dtype",
            "query.dtype must be F32, F16, BF16 or F64; got BOOL"),
        Tensor(
            "KeyDiffers", [](S& s) { Retype(s.key, DataType::kF16); },
            "key.dtype", "key.dtype must equal query.dtype F32; got F16"),
        Tensor(
            "ValueDiffers", [](S& s) { Retype(s.value, DataType::kBF16); },
            "value.dtype", "value.dtype must equal query.dtype F32; got BF16"),
        Option(
            "OutputOfIntegers", [](S& s) { s.output.dtype = DataType::kI64; },
            "output.dtype",
            "output.dtype must be F32, F16, BF16 or F64; got I64 (7)"),
        Option(
            "OutputUnknown",
            [](S& s) { s.output.dtype = static_cast<DataType>(42); },
            "output.dtype",
            "output.dtype must be F32, F16, BF16 or F64; got unknown "
            "(42)")),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Shapes, ValidateRuleTest,
    testing::Values(
        Tensor(
            "QueryRank",
            [](S& s) {
              Reshape(s.query, {2, 3, 32});
            },
            "query.shape",
            "query.shape must have 4 axes in LAYOUT_BHSD; got 3 in [2, 3, "
            "32]"),
        Tensor(
            "KeyRankInBshd",
            [](S& s) {
              s.layout = Layout::kBSHD;
              Reshape(s.key, {2, 5, 2, 8, 1});
            },
            "key.shape",
            "key.shape must have 4 axes in LAYOUT_BSHD; got 5 in [2, 5, 2, "
            "8, 1]"),
        Tensor(
            "ScalarQuery", [](S& s) { Reshape(s.query, {}); }, "query.shape",
            "query.shape must have 4 axes in LAYOUT_BHSD; got 0 in []"),
        Tensor(
            "NoBatch",
            [](S& s) {
              Reshape(s.query, {0, 4, 3, 8});
            },
            "query.shape[0]", "query.shape[0] must be at least 1; got 0"),
        Tensor(
            "NoHeads",
            [](S& s) {
              Reshape(s.query, {2, 0, 3, 8});
            },
            "query.shape[1]", "query.shape[1] must be at least 1; got 0"),
        Tensor(
            "NoKvHeads",
            [](S& s) {
              Reshape(s.key, {2, 0, 5, 8});
            },
            "key.shape[1]", "key.shape[1] must be at least 1; got 0"),
        Tensor(
            "NoHeadDim",
            [](S& s) {
              Reshape(s.query, {2, 4, 3, 0});
            },
            "query.shape[3]", "query.shape[3] must be at least 1; got 0"),
        Tensor(
            "NoValueHeadDim",
            [](S& s) {
              Reshape(s.value, {2, 2, 5, 0});
            },
            "value.shape[3]", "value.shape[3] must be at least 1; got 0"),
        Tensor(
            "KeyBatch",
            [](S& s) {
              Reshape(s.key, {1, 2, 5, 8});
            },
            "key.shape[0]",
            "key.shape[0] must equal query.shape[0]; got 1 vs 2"),
        Tensor(
            "ValueBatch",
            [](S& s) {
              Reshape(s.value, {3, 2, 5, 6});
            },
            "value.shape[0]",
            "value.shape[0] must equal key.shape[0]; got 3 vs 2"),
        Tensor(
            "KeyHeadDim",
            [](S& s) {
              Reshape(s.key, {2, 2, 5, 16});
            },
            "key.shape[3]",
            "key.shape[3] must equal query.shape[3]; got 16 vs 8"),
        Tensor(
            "ValueLength",
            [](S& s) {
              Reshape(s.value, {2, 2, 4, 6});
            },
            "value.shape[2]",
            "value.shape[2] must equal key.shape[2]; got 4 vs 5"),
        Tensor(
            "ValueHeads",
            [](S& s) {
              Reshape(s.value, {2, 1, 5, 6});
            },
            "value.shape[1]",
            "value.shape[1] must equal key.shape[1]; got 1 vs 2"),
        Tensor(
            "HeadsNotMultiple",
            [](S& s) {
              Reshape(s.key, {2, 3, 5, 8});
              Reshape(s.value, {2, 3, 5, 6});
            },
            "query.shape[1]",
            "query.shape[1] (num_q_heads) must be a multiple of "
            "key.shape[1] (num_kv_heads); got 4 vs 3"),
        Tensor(
            "MoreKvHeadsThanQueryHeads",
            [](S& s) {
              Reshape(s.key, {2, 8, 5, 8});
              Reshape(s.value, {2, 8, 5, 6});
            },
            "query.shape[1]",
            "query.shape[1] (num_q_heads) must be a multiple of "
            "key.shape[1] (num_kv_heads); got 4 vs 8"),
        Option(
            "QueryHeadsDisagree", [](S& s) { s.num_q_heads = 5; },
            "num_q_heads",
            "num_q_heads must be absent or equal query.shape[1]; got 5 vs "
            "4"),
        Option(
            "KvHeadsDisagree", [](S& s) { s.num_kv_heads = 4; }, "num_kv_heads",
            "num_kv_heads must be absent or equal key.shape[1]; got 4 vs "
            "2")),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    LayoutBse, ValidateRuleTest,
    testing::Values(
        Option(
            "WithoutQueryHeads",
            [](S& s) {
              s = ValidBse();
              s.num_q_heads = 0;
            },
            "num_q_heads",
            "num_q_heads must be at least 1 with LAYOUT_BSE; got 0"),
        Option(
            "WithoutKvHeads",
            [](S& s) {
              s = ValidBse();
              s.num_kv_heads = 0;
            },
            "num_kv_heads",
            "num_kv_heads must be at least 1 with LAYOUT_BSE; got 0"),
        Tensor(
            "QueryDimIsNoMultiple",
            [](S& s) {
              s = ValidBse();
              s.num_q_heads = 5;
            },
            "query.shape[2]",
            "query.shape[2] must be a multiple of num_q_heads; got 32 with "
            "5"),
        Tensor(
            "MoreHeadsThanElements",
            [](S& s) {
              s = ValidBse();
              s.num_q_heads = 4294967295;
            },
            "query.shape[2]",
            "query.shape[2] must be a multiple of num_q_heads; got 32 with "
            "4294967295"),
        Tensor(
            "KeyHeadDimDiffers",
            [](S& s) {
              s = ValidBse();
              s.num_kv_heads = 4;
            },
            "key.shape[2] / num_kv_heads",
            "key.shape[2] / num_kv_heads must equal query.shape[2] / "
            "num_q_heads; got 4 vs 8"),
        Option(
            "HeadsAreNoMultiple",
            [](S& s) {
              s = ValidBse();
              s.num_kv_heads = 3;
              Reshape(s.key, {2, 5, 24});
              Reshape(s.value, {2, 5, 18});
            },
            "num_q_heads",
            "num_q_heads must be a multiple of num_kv_heads; got 4 vs 3"),
        Tensor(
            "FourAxes",
            [](S& s) {
              s = ValidBse();
              Reshape(s.query, {2, 3, 4, 8});
            },
            "query.shape",
            "query.shape must have 3 axes in LAYOUT_BSE; got 4 in [2, 3, "
            "4, 8]")),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Enums, ValidateRuleTest,
    testing::Values(
        Option(
            "Layout", [](S& s) { s.layout = static_cast<Layout>(4); }, "layout",
            "layout must be an enum number from 0 to 3; got 4"),
        Option(
            "NegativeLayout", [](S& s) { s.layout = static_cast<Layout>(-1); },
            "layout", "layout must be an enum number from 0 to 3; got -1"),
        Option(
            "Causal",
            [](S& s) { s.params.causal = static_cast<CausalMode>(3); },
            "params.causal",
            "params.causal must be an enum number from 0 to 2; got 3"),
        Option(
            "Weights",
            [](S& s) { s.output.weights = static_cast<WeightsMode>(5); },
            "output.weights",
            "output.weights must be an enum number from 0 to 4; got 5")),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Options, ValidateRuleTest,
    testing::Values(
        Option(
            "ScaleNan", [](S& s) { s.params.scale = kNan; }, "params.scale",
            "params.scale must be finite and not negative; got nan"),
        Option(
            "ScaleInfinite", [](S& s) { s.params.scale = kInfinity; },
            "params.scale",
            "params.scale must be finite and not negative; got inf"),
        Option(
            "ScaleNegative", [](S& s) { s.params.scale = -0.5f; },
            "params.scale",
            "params.scale must be finite and not negative; got -0.5"),
        Option(
            "SoftcapNan", [](S& s) { s.params.softcap = kNan; },
            "params.softcap",
            "params.softcap must be finite and not negative; got nan"),
        Option(
            "SoftcapInfinite", [](S& s) { s.params.softcap = kInfinity; },
            "params.softcap",
            "params.softcap must be finite and not negative; got inf"),
        Option(
            "SoftcapNegative", [](S& s) { s.params.softcap = -30; },
            "params.softcap",
            "params.softcap must be finite and not negative; got -30"),
        Option(
            "LeftWindow", [](S& s) { s.params.left_window = -1; },
            "params.left_window",
            "params.left_window must not be negative; got -1"),
        Option(
            "RightWindow", [](S& s) { s.params.right_window = INT64_MIN; },
            "params.right_window",
            "params.right_window must not be negative; got "
            "-9223372036854775808"),
        Option(
            "AlibiCount",
            [](S& s) {
              s.params.alibi_slopes = {1, 2};
            },
            "params.alibi_slopes",
            "params.alibi_slopes must be empty or have num_q_heads = 4 "
            "entries; got 2"),
        Option(
            "AlibiNan",
            [](S& s) {
              s.params.alibi_slopes = {1, 2, kNan, 4};
            },
            "params.alibi_slopes[2]",
            "params.alibi_slopes[2] must be finite; got nan"),
        Option(
            "SinksCount",
            [](S& s) {
              s.params.sinks = {1, 2, 3, 4, 5};
            },
            "params.sinks",
            "params.sinks must be empty or have num_q_heads = 4 entries; "
            "got 5"),
        Option(
            "SinksInfinite",
            [](S& s) {
              s.params.sinks = {1, kInfinity, 3, 4};
            },
            "params.sinks[1]", "params.sinks[1] must be finite; got inf"),
        Option(
            "KvLengthsCount", [](S& s) { s.kv_lengths = {5}; }, "kv_lengths",
            "kv_lengths must be empty or have batch_size = 2 entries; got "
            "1"),
        Option(
            "KvLengthNegative",
            [](S& s) {
              s.kv_lengths = {5, -1};
            },
            "kv_lengths[1]",
            "kv_lengths[1] must be from 0 to kv_len 5; got -1"),
        Option(
            "KvLengthBeyond",
            [](S& s) {
              s.kv_lengths = {6, 5};
            },
            "kv_lengths[0]",
            "kv_lengths[0] must be from 0 to kv_len 5; got 6")),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Mask, ValidateRuleTest,
    testing::Values(
        Tensor(
            "LongerThanKvLen",
            [](S& s) {
              SetMask(s, DataType::kBool, {3, 6});
            },
            "attn_mask.shape[1]",
            "attn_mask.shape[1] must be at most kv_len 5; got 6 in [3, 6]"),
        Tensor(
            "WrongRows",
            [](S& s) {
              SetMask(s, DataType::kBool, {2, 5});
            },
            "attn_mask.shape[0]",
            "attn_mask.shape[0] must be 1 or 3 to broadcast to [2, 4, 3, "
            "5]; got 2 in [2, 5]"),
        Tensor(
            "NoRows",
            [](S& s) {
              SetMask(s, DataType::kBool, {0, 5});
            },
            "attn_mask.shape[0]",
            "attn_mask.shape[0] must be 1 or 3 to broadcast to [2, 4, 3, "
            "5]; got 0 in [0, 5]"),
        Tensor(
            "KvHeadsInsteadOfHeads",
            [](S& s) {
              SetMask(s, DataType::kBool, {2, 2, 3, 5});
            },
            "attn_mask.shape[1]",
            "attn_mask.shape[1] must be 1 or 4 to broadcast to [2, 4, 3, "
            "5]; got 2 in [2, 2, 3, 5]"),
        Tensor(
            "WrongBatch",
            [](S& s) {
              SetMask(s, DataType::kBool, {3, 4, 3, 5});
            },
            "attn_mask.shape[0]",
            "attn_mask.shape[0] must be 1 or 2 to broadcast to [2, 4, 3, "
            "5]; got 3 in [3, 4, 3, 5]"),
        Tensor(
            "FiveAxes",
            [](S& s) {
              SetMask(s, DataType::kBool, {1, 2, 4, 3, 5});
            },
            "attn_mask.shape",
            "attn_mask.shape must have at most 4 axes to broadcast to [2, "
            "4, 3, 5]; got [1, 2, 4, 3, 5]"),
        Tensor(
            "OtherFloat",
            [](S& s) {
              SetMask(s, DataType::kF16, {3, 5});
            },
            "attn_mask.dtype",
            "attn_mask.dtype must be BOOL, F32 or query.dtype F32; got "
            "F16"),
        Tensor(
            "Integers",
            [](S& s) {
              SetMask(s, DataType::kI32, {3, 5});
            },
            "attn_mask.dtype",
            "attn_mask.dtype must be BOOL, F32 or query.dtype F32; got "
            "I32"),
        Tensor(
            "UnknownDtype",
            [](S& s) {
              SetMask(s, static_cast<DataType>(8), {3, 5});
            },
            "attn_mask.dtype",
            "attn_mask.dtype must be a DataType other than unspecified; "
            "got unknown (8)"),
        Tensor(
            "TooFewBytes",
            [](S& s) {
              SetMask(s, DataType::kBool, {3, 5});
              s.attn_mask.data_bytes = 14;
            },
            "attn_mask.data",
            "attn_mask.data must hold 15 bytes (shape [3, 5] of BOOL); got "
            "14")),
    NameOf);

absl::Status WithLimit(const RequestSpec& spec, int64_t max_reply_bytes) {
  return ValidateRequest(spec, {.max_reply_bytes = max_reply_bytes}).status();
}

TEST(ValidateReplyTest, OutputLseAndWeightsCountTogether) {
  RequestSpec spec = MakeSpec(ValidOptions());
  EXPECT_TRUE(WithLimit(spec, 2 * 4 * 3 * 6 * 4).ok());
  spec.output.return_lse = true;
  spec.output.weights = WeightsMode::kProbabilities;
  const int64_t bytes = 2 * 4 * 3 * (6 + 1 + 5) * 4;
  EXPECT_TRUE(WithLimit(spec, bytes).ok());
  const absl::Status status = WithLimit(spec, bytes - 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), Reason::kRequestTooLarge);
  EXPECT_EQ(status.message(),
            "the reply's tensors must be at most 1151 bytes; got 1152");
}

// A request of a few bytes: the value tensor is empty, and says it is wide.
RequestSpec EmptyValueOfDim(int64_t value_head_dim) {
  CaseOptions options;
  options.num_q_heads = options.num_kv_heads = 1;
  options.q_len = 1;
  options.kv_len = 0;
  options.head_dim = 1;
  RequestSpec spec = MakeSpec(options);
  Reshape(spec.value, {1, 1, 0, value_head_dim});
  return spec;
}

TEST(ValidateReplyTest, EmptyValueCannotAskForAHugeReply) {
  const absl::Status status =
      ValidateRequest(EmptyValueOfDim(k40), {}).status();
  EXPECT_EQ(ReasonOf(status), Reason::kRequestTooLarge);
  EXPECT_EQ(status.message(),
            "the reply's tensors must be at most 268435456 bytes; got "
            "4398046511104");
}

TEST(ValidateReplyTest, ReplyThatOverflowsInt64IsTooLarge) {
  for (const int64_t dim : {k62, INT64_MAX}) {
    EXPECT_EQ(ReasonOf(ValidateRequest(EmptyValueOfDim(dim), {}).status()),
              Reason::kRequestTooLarge);
  }
}

TEST(ValidateReplyTest, EmptyValueWithinTheLimitIsServed) {
  EXPECT_TRUE(ValidateRequest(EmptyValueOfDim(1000), {}).ok());
}

TEST(ValidateF64Test, TensorsAndOutputAreServed) {
  RequestSpec spec = MakeSpec(ValidOptions());
  for (TensorSpec* tensor : {&spec.query, &spec.key, &spec.value}) {
    Retype(*tensor, DataType::kF64);
  }
  const auto plan = ValidateRequest(spec, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->output_dtype, DataType::kF64);
  EXPECT_EQ(plan->compute_dtype(), DataType::kF64);
}

}  // namespace
}  // namespace attn::test
