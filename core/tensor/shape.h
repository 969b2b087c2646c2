// The lengths of a tensor's axes and what follows from them, with every product
// checked: shapes come from outside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"

namespace attn {

inline constexpr int kMaxRank = 8;

// Lengths, outermost axis first; empty for a scalar.
using Dims = absl::InlinedVector<int64_t, 4>;

// The product of all dims: 0 if any is 0, 1 for a scalar. Nothing if a dim is
// negative or the product of the dims that are not 0 does not fit int64.
std::optional<int64_t> NumElements(absl::Span<const int64_t> dims);

// "[2, 8, 128, 64]"
std::string ToString(absl::Span<const int64_t> dims);

}  // namespace attn
