// Answers against the f64 reference, element by element, with a bound that
// knows the condition of each.
#pragma once

#include <string>

#include "tests/support/attention_case.h"

namespace attn::test {

// Compares every element of output, lse, weights and top keys with the
// reference:
//   |error| <= (eps(output dtype) + c * eps(arithmetic)) * (weights . |value|)
// besides the output's mean error against its bound (bias) and their root mean
// square (L2). Returns "" or a description of the worst violation.
std::string CompareWithReference(const AttentionCase& attention_case,
                                 const AttentionOutputs& outputs,
                                 double* worst_ratio = nullptr);

// The largest |error| of the output, for tables.
double LargestError(const AttentionCase& attention_case,
                    const AttentionOutputs& outputs);

}  // namespace attn::test
