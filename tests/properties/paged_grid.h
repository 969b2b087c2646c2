// The kernels and the cases over which answers from pages are compared with
// answers from contiguous keys and values.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "core/attention/kernel_choice.h"
#include "tests/support/attention_case.h"

namespace attn::test {

inline constexpr KernelKind kPagedKinds[] = {
    KernelKind::kPrefill, KernelKind::kDecode, KernelKind::kF64};

// `what` names the case.
using CheckCase =
    absl::FunctionRef<void(const AttentionCase&, const std::string& what)>;

// Lengths around the edges of pages, times dims small, odd and large; what else
// there is to a case is that of `options`.
void ForEveryPageEdge(CaseOptions options, CheckCase check);

// 150 keys with each option that a session takes: no rope, as keys of a session
// are turned before they are written, and no kv_lengths.
void ForEverySessionOption(const CaseOptions& options, CheckCase check);

}  // namespace attn::test
