#include "tests/properties/paged_grid.h"

#include "tests/support/named_option.h"
#include "tests/support/sizes.h"

namespace attn::test {

void ForEveryPageEdge(CaseOptions options, CheckCase check) {
  for (const int64_t kv_len : {1, 63, 64, 65, 127, 128, 129, 256, 300, 700}) {
    for (const int64_t head_dim : {1, 16, 33, 300}) {
      if (kIsSanitized && kv_len * head_dim > 5000) continue;
      options.kv_len = kv_len;
      options.head_dim = head_dim;
      options.value_head_dim = head_dim + 3;
      check(MakeCase(options),
            std::to_string(kv_len) + " x " + std::to_string(head_dim));
    }
  }
}

void ForEverySessionOption(const CaseOptions& options, CheckCase check) {
  for (const NamedOption& option : AllOptions()) {
    CaseOptions applied = options;
    applied.kv_len = 150;
    option.apply(applied);
    if (applied.params.rope.has_value()) continue;
    applied.kv_lengths.clear();
    check(MakeCase(applied), option.name);
  }
}

}  // namespace attn::test
