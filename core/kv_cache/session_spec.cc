#include "core/kv_cache/session_spec.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxKvHeads = 4096;
constexpr int64_t kMaxHeadDim = 65536;
// No page size of these sizes overflows: that is proven once, here.
static_assert(kMaxKvHeads * 2 * kMaxHeadDim * kPageTokens * 4 > 0);

absl::Status CheckRange(std::string_view field, int64_t value, int64_t max) {
  if (value >= 1 && value <= max) return absl::OkStatus();
  return InvalidOption(field, absl::StrCat("must be between 1 and ", max),
                       absl::StrCat(value));
}

absl::Status CheckSizes(const KvSpec& spec) {
  ATTN_RETURN_IF_ERROR(
      CheckRange("spec.num_layers", spec.num_layers, kMaxLayers));
  ATTN_RETURN_IF_ERROR(
      CheckRange("spec.num_kv_heads", spec.num_kv_heads, kMaxKvHeads));
  ATTN_RETURN_IF_ERROR(CheckRange("spec.head_dim", spec.head_dim, kMaxHeadDim));
  return CheckRange("spec.value_head_dim", spec.value_head_dim, kMaxHeadDim);
}

absl::Status CheckDtype(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kUnspecified:
    case KvDtype::kF32:
    case KvDtype::kBF16:
    case KvDtype::kF16:
    case KvDtype::kInt8:
      return absl::OkStatus();
  }
  return InvalidOption("spec.kv_dtype", "must be a known KV dtype",
                       absl::StrCat(static_cast<int32_t>(dtype)));
}

absl::Status CheckLifetime(const KvSpec& spec, const SessionLimits& limits) {
  if (spec.max_length < 0 || spec.max_length > limits.max_length) {
    return InvalidOption(
        "spec.max_length",
        absl::StrCat("must be between 0 and ", limits.max_length),
        absl::StrCat(spec.max_length));
  }
  if (spec.window < 0) {
    return InvalidOption("spec.window", "must be at least 0",
                         absl::StrCat(spec.window));
  }
  if (*spec.idle_ttl <= Duration::zero()) {
    return InvalidOption("spec.idle_ttl", "must be above 0",
                         absl::StrCat(ToSeconds(*spec.idle_ttl), " s"));
  }
  return absl::OkStatus();
}

DataType PageDtype(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kBF16:
      return DataType::kBF16;
    case KvDtype::kF16:
      return DataType::kF16;
    default:
      return DataType::kF32;
  }
}

}  // namespace

absl::StatusOr<KvSpec> ResolveSpec(const KvSpec& spec,
                                   const SessionLimits& limits) {
  KvSpec resolved = spec;
  if (spec.value_head_dim == 0) resolved.value_head_dim = spec.head_dim;
  if (!spec.idle_ttl.has_value()) resolved.idle_ttl = limits.idle_ttl;
  ATTN_RETURN_IF_ERROR(CheckSizes(resolved));
  ATTN_RETURN_IF_ERROR(CheckDtype(resolved.kv_dtype));
  ATTN_RETURN_IF_ERROR(CheckLifetime(resolved, limits));
  if (spec.kv_dtype == KvDtype::kUnspecified) resolved.kv_dtype = KvDtype::kF32;
  if (spec.max_length == 0) resolved.max_length = limits.max_length;
  const int64_t page_bytes = FormatOf(resolved).page_bytes();
  if (page_bytes > kMaxPageBytes) {
    return InvalidOption(
        "spec",
        absl::StrCat("must have heads of at most ", kMaxPageBytes,
                     " bytes together in ", kPageTokens, " tokens"),
        absl::StrCat(page_bytes));
  }
  return resolved;
}

KvFormat FormatOf(const KvSpec& spec) {
  ATTN_CHECK(spec.value_head_dim > 0);
  return {.dtype = PageDtype(spec.kv_dtype),
          .num_kv_heads = spec.num_kv_heads,
          .head_dim = spec.head_dim,
          .value_head_dim = spec.value_head_dim,
          .packs_full_pages = spec.kv_dtype == KvDtype::kInt8};
}

}  // namespace attn
