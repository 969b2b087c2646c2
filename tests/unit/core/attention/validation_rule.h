// A rule of the contract as a test walks it: a valid request, one thing
// changed, and the exact error that must follow.
#pragma once

#include <ostream>
#include <string>

#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn::test {

struct ValidationRule {
  const char* name;
  void (*mutate)(RequestSpec&);
  Reason reason;
  const char* field;
  const char* message;  // Behind the field.
};

// A rule that is broken by a tensor, and by an option.
ValidationRule Tensor(const char* name, void (*mutate)(RequestSpec&),
                      const char* field, const char* message);
ValidationRule Option(const char* name, void (*mutate)(RequestSpec&),
                      const char* field, const char* message);

std::ostream& operator<<(std::ostream& out, const ValidationRule& rule);
std::string NameOfRule(const testing::TestParamInfo<ValidationRule>& info);

// Passes if `spec` is valid, and is refused once the rule has changed it.
void ExpectRefused(RequestSpec spec, const ValidationRule& rule);

// B 2, 4 query heads on 2 KV heads, 3 rows, 5 keys, dims 8 and 6.
CaseOptions ValidOptions();

// Gives the tensor a shape, or a dtype, and the bytes that belong to it.
void Reshape(TensorSpec& tensor, const Dims& dims);
void Retype(TensorSpec& tensor, DataType dtype);
void SetMask(RequestSpec& spec, DataType dtype, const Dims& dims);

}  // namespace attn::test
