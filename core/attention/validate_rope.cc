#include "core/attention/validate_rope.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/attention/validate_tensors.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

// A field of the rope as the message calls it.
std::string Name(const RequestSpec& spec, const char* field) {
  if (spec.rope_field.empty()) return field;
  return absl::StrCat(spec.rope_field, ".", field);
}

// NaN fails the comparison, too.
absl::Status CheckNumber(std::string_view field, float value) {
  if (value >= 0 && std::isfinite(value)) return absl::OkStatus();
  return InvalidOption(field, "must be finite and not negative",
                       absl::StrCat(value));
}

absl::StatusOr<int64_t> RotaryDim(const RequestSpec& spec, int64_t head_dim) {
  const RopeParams& rope = *spec.params.rope;
  const int64_t dim = rope.rotary_dim == 0 ? head_dim : rope.rotary_dim;
  if (dim % 2 == 0 && 0 < dim && dim <= head_dim) return dim;
  return InvalidOption(Name(spec, "rotary_dim"),
                       absl::StrCat("must be even and at most head_dim ",
                                    head_dim, " (0 stands for head_dim)"),
                       absl::StrCat(rope.rotary_dim));
}

absl::Status CheckTable(std::string_view field, const TensorSpec& table,
                        int64_t num_pairs, DataType query_dtype) {
  ATTN_RETURN_IF_ERROR(CheckTensor(field, table));
  const std::string name(field);
  if (table.dtype != DataType::kF32 && table.dtype != query_dtype) {
    return InvalidTensor(absl::StrCat(name, ".dtype"),
                         absl::StrCat("must be F32 or query.dtype ",
                                      std::string(DataTypeName(query_dtype))),
                         std::string(DataTypeName(table.dtype)));
  }
  if (table.dims.size() == 2 && table.dims[1] == num_pairs) {
    return absl::OkStatus();
  }
  return InvalidTensor(
      absl::StrCat(name, ".shape"),
      absl::StrCat("must be [max_position, rotary_dim / 2 = ", num_pairs, "]"),
      ToString(table.dims));
}

// Both or neither, alike, and no other source of angles beside them.
absl::Status CheckTables(const RequestSpec& spec, const RopeParams& rope,
                         const AttentionPlan& plan) {
  const TensorSpec& cos = spec.rope_cos;
  const TensorSpec& sin = spec.rope_sin;
  if (rope.base != 0) {
    return InvalidOption(Name(spec, "base"),
                         "must be 0 where cos and sin are given",
                         absl::StrCat(rope.base));
  }
  if (rope.scaling_factor != 0) {
    return InvalidOption(Name(spec, "scaling_factor"),
                         "must be 0 where cos and sin are given",
                         absl::StrCat(rope.scaling_factor));
  }
  const int64_t num_pairs = plan.rope.num_pairs();
  ATTN_RETURN_IF_ERROR(
      CheckTable(Name(spec, "cos"), cos, num_pairs, plan.dtype));
  ATTN_RETURN_IF_ERROR(
      CheckTable(Name(spec, "sin"), sin, num_pairs, plan.dtype));
  if (cos.dtype != sin.dtype) {
    return InvalidTensor(
        Name(spec, "sin.dtype"),
        absl::StrCat("must equal ", Name(spec, "cos.dtype")),
        absl::StrCat(std::string(DataTypeName(sin.dtype)), " vs ",
                     std::string(DataTypeName(cos.dtype))));
  }
  if (cos.dims[0] == sin.dims[0]) return absl::OkStatus();
  return InvalidTensor(Name(spec, "sin.shape[0]"),
                       absl::StrCat("must equal ", Name(spec, "cos.shape[0]")),
                       absl::StrCat(sin.dims[0], " vs ", cos.dims[0]));
}

absl::Status CheckCount(std::string_view field,
                        const std::vector<int64_t>& positions,
                        std::string_view what, int64_t count) {
  if (positions.empty() || static_cast<int64_t>(positions.size()) == count) {
    return absl::OkStatus();
  }
  return InvalidOption(field,
                       absl::StrCat("must be empty or have ", std::string(what),
                                    " = ", count, " entries"),
                       absl::StrCat(positions.size()));
}

// The rows that turn, and where counting starts without explicit positions.
struct Rows {
  int64_t first = 0;
  int64_t count = 0;
};

absl::Status CheckPositions(const RequestSpec& spec, const Rows& queries,
                            const Rows& keys) {
  const RopeParams& rope = *spec.params.rope;
  ATTN_RETURN_IF_ERROR(CheckCount(Name(spec, "positions"), rope.positions,
                                  "q_len", queries.count));
  ATTN_RETURN_IF_ERROR(CheckCount(Name(spec, "key_positions"),
                                  rope.key_positions, "kv_len", keys.count));
  if (rope.positions.empty() || !rope.key_positions.empty() ||
      rope.counts_keys || queries.count == keys.count || keys.count == 0) {
    return absl::OkStatus();
  }
  return InvalidOption(
      Name(spec, "key_positions"),
      absl::StrCat("must be given where positions are and kv_len ", keys.count,
                   " is not q_len ", queries.count),
      "none");
}

// Every row has its angles in the tables.
absl::Status CheckInTable(std::string_view field,
                          const std::vector<int64_t>& positions,
                          const Rows& rows, int64_t num_positions) {
  const auto check = [&](const std::string& place, int64_t position) {
    if (position >= 0 && position < num_positions) return absl::OkStatus();
    return InvalidOption(place,
                         absl::StrCat("must be a row of the tables, from 0 to ",
                                      num_positions - 1),
                         absl::StrCat(position));
  };
  const std::string name(field);
  if (rows.count > 0 && positions.empty()) {
    ATTN_RETURN_IF_ERROR(check(name, rows.first));
    return check(name, rows.first + (rows.count - 1));
  }
  for (size_t i = 0; i < positions.size(); ++i) {
    ATTN_RETURN_IF_ERROR(check(absl::StrCat(name, "[", i, "]"), positions[i]));
  }
  return absl::OkStatus();
}

// How a session counts differs: from p(0), and from the tokens' own places. The
// sum of a legal offset and a length may leave int64; nobody can tell such
// positions apart in f64, let alone in f32.
int64_t FirstQueryPosition(const AttentionPlan& plan) {
  if (!plan.has_session) return 0;
  constexpr int64_t kFarthest = int64_t{1} << 62;
  return std::clamp(plan.Offset(0), -kFarthest, kFarthest);
}

}  // namespace

absl::Status PlanRope(const RequestSpec& spec, AttentionPlan& plan) {
  if (!spec.params.rope.has_value()) return absl::OkStatus();
  plan.params.rope.reset();  // Its positions may be large; plan.rope has them.
  const RopeParams& rope = *spec.params.rope;
  const Geometry& g = plan.geometry;
  ATTN_RETURN_IF_ERROR(CheckNumber(Name(spec, "base"), rope.base));
  ATTN_RETURN_IF_ERROR(
      CheckNumber(Name(spec, "scaling_factor"), rope.scaling_factor));
  ATTN_ASSIGN_OR_RETURN(const int64_t rotary_dim, RotaryDim(spec, g.head_dim));
  const Rows queries{FirstQueryPosition(plan), g.q_len};
  const Rows keys{plan.past_len, g.kv_len - plan.past_len};
  ATTN_RETURN_IF_ERROR(CheckPositions(spec, queries, keys));
  const bool has_tables = spec.rope_cos.is_present || spec.rope_sin.is_present;
  const bool has_frequencies = rope.frequencies != nullptr;
  if (rope.base == 0 && !has_tables && !has_frequencies) {
    return absl::OkStatus();
  }

  plan.rope.rotary_dim = rotary_dim;
  plan.rope.is_interleaved = rope.is_interleaved;
  plan.rope.turns_keys = !plan.has_session;
  plan.rope.first_query_position = queries.first;
  plan.rope.positions = rope.positions;
  plan.rope.key_positions = rope.key_positions;
  if (rope.key_positions.empty() && keys.count > 0 && !rope.counts_keys) {
    plan.rope.key_positions = rope.positions;
  }
  plan.rope.first_key_position = keys.first;
  plan.rope.base = double{rope.base};
  plan.rope.frequencies = rope.frequencies;
  if (rope.scaling_factor > 0) {
    plan.rope.scaling_factor = double{rope.scaling_factor};
  }
  if (!has_tables) return absl::OkStatus();

  ATTN_RETURN_IF_ERROR(CheckTables(spec, rope, plan));
  const int64_t num_rows = spec.rope_cos.dims[0];
  ATTN_RETURN_IF_ERROR(CheckInTable(Name(spec, "positions"),
                                    plan.rope.positions, queries, num_rows));
  ATTN_RETURN_IF_ERROR(CheckInTable(Name(spec, "key_positions"),
                                    plan.rope.key_positions, keys, num_rows));
  plan.rope.has_tables = true;
  plan.rope.table_dtype = spec.rope_cos.dtype;
  plan.cos_bytes = spec.rope_cos.data_bytes;
  plan.sin_bytes = spec.rope_sin.data_bytes;
  return absl::OkStatus();
}

}  // namespace attn
