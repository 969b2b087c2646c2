// What a request asks for as a whole: the size of its reply, and f64.
#include "core/attention/validate.h"

#include <cstdint>

#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

constexpr int64_t k40 = int64_t{1} << 40;
constexpr int64_t k62 = int64_t{1} << 62;

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
