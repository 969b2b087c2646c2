#include "core/tensor/shape.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/checked_math.h"

namespace attn {

std::optional<int64_t> NumElements(absl::Span<const int64_t> dims) {
  std::optional<int64_t> product = 1;
  bool is_empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    is_empty |= dim == 0;
    // [2^62, 2^62, 0] is refused although it holds nothing: some later product
    // over a part of the axes would overflow.
    if (dim != 0) product = CheckedMul(*product, dim);
    if (!product.has_value()) return std::nullopt;
  }
  return is_empty ? 0 : *product;
}

std::string ToString(absl::Span<const int64_t> dims) {
  return absl::StrCat("[", absl::StrJoin(dims, ", "), "]");
}

}  // namespace attn
