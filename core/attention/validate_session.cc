#include "core/attention/validate_session.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "core/attention/validate_tensors.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

absl::Status CheckBatch(std::string_view field, const HeadsShape& shape) {
  if (shape.batch_size == 1) return absl::OkStatus();
  return InvalidTensor(absl::StrCat(std::string(field), ".shape[0]"),
                       "must be 1 with a session",
                       absl::StrCat(shape.batch_size));
}

// A tensor to append, with the session's heads.
absl::StatusOr<HeadsShape> ReadAppended(std::string_view field,
                                        const TensorSpec& tensor,
                                        const RequestSpec& spec,
                                        const SessionLayer& layer) {
  ATTN_RETURN_IF_ERROR(CheckTensor(field, tensor));
  ATTN_RETURN_IF_ERROR(CheckFloat(field, tensor.dtype));
  // The session knows its heads; saying them again is allowed.
  const int64_t heads = spec.layout == Layout::kBSE && spec.num_kv_heads == 0
                            ? layer.num_kv_heads
                            : spec.num_kv_heads;
  ATTN_ASSIGN_OR_RETURN(
      const HeadsShape shape,
      ReadShape(field, "num_kv_heads", tensor, spec.layout, heads));
  ATTN_RETURN_IF_ERROR(CheckBatch(field, shape));
  ATTN_RETURN_IF_ERROR(CheckFitsSession(field, "'s number of heads",
                                        shape.num_heads, layer.num_kv_heads));
  return shape;
}

}  // namespace

absl::Status CheckFitsSession(std::string_view field, std::string_view what,
                              int64_t found, int64_t expected) {
  if (found == expected) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kFailedPrecondition, Reason::kSpecMismatch,
      absl::StrCat(std::string(field), std::string(what),
                   " must equal the session's ", expected, "; got ", found));
}

absl::StatusOr<int64_t> CheckAppend(const RequestSpec& spec,
                                    const SessionLayer& layer) {
  if (!spec.key.is_present && !spec.value.is_present) return 0;
  ATTN_ASSIGN_OR_RETURN(const HeadsShape key,
                        ReadAppended("key", spec.key, spec, layer));
  ATTN_RETURN_IF_ERROR(
      CheckFitsSession("key", "'s head_dim", key.dim, layer.head_dim));
  ATTN_ASSIGN_OR_RETURN(const HeadsShape value,
                        ReadAppended("value", spec.value, spec, layer));
  ATTN_RETURN_IF_ERROR(CheckFitsSession("value", "'s head_dim", value.dim,
                                        layer.value_head_dim));
  ATTN_RETURN_IF_ERROR(CheckValueFits(key, value, spec.layout));
  return key.length;
}

absl::StatusOr<Geometry> CheckSessionShapes(const RequestSpec& spec,
                                            const SessionLayer& layer,
                                            int64_t num_appended) {
  ATTN_ASSIGN_OR_RETURN(const HeadsShape query,
                        ReadShape("query", "num_q_heads", spec.query,
                                  spec.layout, spec.num_q_heads));
  ATTN_RETURN_IF_ERROR(CheckBatch("query", query));
  ATTN_RETURN_IF_ERROR(
      CheckFitsSession("query", "'s head_dim", query.dim, layer.head_dim));
  if (spec.num_kv_heads != 0) {
    ATTN_RETURN_IF_ERROR(CheckFitsSession("num_kv_heads", "", spec.num_kv_heads,
                                          layer.num_kv_heads));
  }
  if (query.num_heads % layer.num_kv_heads != 0) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, Reason::kSpecMismatch,
        absl::StrCat("query's number of heads must be a multiple of the "
                     "session's num_kv_heads ",
                     layer.num_kv_heads, "; got ", query.num_heads));
  }
  return Geometry{.batch_size = 1,
                  .num_q_heads = query.num_heads,
                  .num_kv_heads = layer.num_kv_heads,
                  .q_len = query.length,
                  .kv_len = layer.past_len + num_appended,
                  .head_dim = layer.head_dim,
                  .value_head_dim = layer.value_head_dim};
}

}  // namespace attn
