// Every option of the contract by name, for grids over all of them and over all
// pairs.
#pragma once

#include "absl/types/span.h"
#include "tests/support/attention_case.h"

namespace attn::test {

struct NamedOption {
  const char* name;
  // Sizes must be set before; kv_len at least 8, head_dim even and at least 4.
  void (*apply)(CaseOptions&);
};

absl::Span<const NamedOption> AllOptions();

}  // namespace attn::test
