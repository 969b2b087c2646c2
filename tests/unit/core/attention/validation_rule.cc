#include "tests/unit/core/attention/validation_rule.h"

#include "core/attention/validate.h"

namespace attn::test {

ValidationRule Tensor(const char* name, void (*mutate)(RequestSpec&),
                      const char* field, const char* message) {
  return {name, mutate, Reason::kInvalidTensor, field, message};
}

ValidationRule Option(const char* name, void (*mutate)(RequestSpec&),
                      const char* field, const char* message) {
  return {name, mutate, Reason::kInvalidOption, field, message};
}

std::ostream& operator<<(std::ostream& out, const ValidationRule& rule) {
  return out << rule.name;
}

std::string NameOfRule(const testing::TestParamInfo<ValidationRule>& info) {
  return info.param.name;
}

void ExpectRefused(RequestSpec spec, const ValidationRule& rule) {
  ASSERT_TRUE(ValidateRequest(spec, {}).ok());
  rule.mutate(spec);
  const absl::Status status = ValidateRequest(spec, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(status), rule.reason);
  EXPECT_EQ(FieldOf(status), rule.field);
  EXPECT_EQ(status.message(), std::string(rule.field) + " " + rule.message);
}

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

}  // namespace attn::test
