#include "core/attention/validate_tensors.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

std::string Str(std::string_view text) { return std::string(text); }

// "key.shape[3]"
std::string Axis(std::string_view field, int axis) {
  return absl::StrCat(Str(field), ".shape[", axis, "]");
}

bool IsKnown(DataType dtype) { return ElementBytes(dtype) > 0; }

bool IsFloat(DataType dtype) {
  return dtype == DataType::kF32 || dtype == DataType::kF16 ||
         dtype == DataType::kBF16 || dtype == DataType::kF64;
}

// The name, and the number where the name cannot tell it.
std::string Found(DataType dtype) {
  return IsKnown(dtype) ? Str(DataTypeName(dtype))
                        : absl::StrCat(Str(DataTypeName(dtype)), " (",
                                       static_cast<int32_t>(dtype), ")");
}

absl::Status CheckDataBytes(std::string_view field, const TensorSpec& tensor,
                            int64_t num_elements) {
  const auto bytes = CheckedMul(num_elements, ElementBytes(tensor.dtype));
  if (bytes.has_value() && *bytes == tensor.data_bytes) {
    return absl::OkStatus();
  }
  return InvalidTensor(
      absl::StrCat(Str(field), ".data"),
      absl::StrCat("must hold ",
                   bytes.has_value() ? absl::StrCat(*bytes)
                                     : std::string("2^63 or more"),
                   " bytes (shape ", ToString(tensor.dims), " of ",
                   Str(DataTypeName(tensor.dtype)), ")"),
      absl::StrCat(tensor.data_bytes));
}

// Which axis of `shape` each size is; for messages.
struct Axes {
  int heads;
  int length;
  int dim;
};

Axes AxesOf(Layout layout) {
  if (layout == Layout::kBSHD) return {2, 1, 3};
  if (layout == Layout::kBSE) return {2, 1, 2};
  return {1, 2, 3};
}

absl::Status CheckRank(std::string_view field, const TensorSpec& tensor,
                       Layout layout) {
  const size_t rank = layout == Layout::kBSE ? 3 : 4;
  if (tensor.dims.size() == rank) return absl::OkStatus();
  return InvalidTensor(
      absl::StrCat(Str(field), ".shape"),
      absl::StrCat("must have ", rank, " axes in ",
                   layout == Layout::kBSE    ? "LAYOUT_BSE"
                   : layout == Layout::kBSHD ? "LAYOUT_BSHD"
                                             : "LAYOUT_BHSD"),
      absl::StrCat(tensor.dims.size(), " in ", ToString(tensor.dims)));
}

// Every axis but the length must have at least one element.
absl::Status CheckNotEmpty(std::string_view field, const TensorSpec& tensor,
                           int length_axis) {
  for (int axis = 0; axis < static_cast<int>(tensor.dims.size()); ++axis) {
    if (axis != length_axis && tensor.dims[static_cast<size_t>(axis)] == 0) {
      return InvalidTensor(Axis(field, axis), "must be at least 1", "0");
    }
  }
  return absl::OkStatus();
}

// The number of heads of a 3-D tensor is an option, of a 4-D one an axis.
absl::StatusOr<int64_t> NumHeads(std::string_view field,
                                 std::string_view option,
                                 const TensorSpec& tensor, Layout layout,
                                 int64_t given) {
  const int axis = AxesOf(layout).heads;
  const int64_t found = tensor.dims[static_cast<size_t>(axis)];
  if (layout != Layout::kBSE) {
    if (given == 0 || given == found) return found;
    return InvalidOption(
        option, absl::StrCat("must be absent or equal ", Axis(field, axis)),
        absl::StrCat(given, " vs ", found));
  }
  if (given == 0) {
    return InvalidOption(option, "must be at least 1 with LAYOUT_BSE", "0");
  }
  if (found % given != 0) {
    return InvalidTensor(Axis(field, axis),
                         absl::StrCat("must be a multiple of ", Str(option)),
                         absl::StrCat(found, " with ", given));
  }
  return given;
}

absl::Status CheckEqual(std::string_view field, std::string_view other,
                        int64_t found, int64_t expected) {
  if (found == expected) return absl::OkStatus();
  return InvalidTensor(field, absl::StrCat("must equal ", Str(other)),
                       absl::StrCat(found, " vs ", expected));
}

// "key.shape[2] / num_kv_heads" in LAYOUT_BSE, else "key.shape[3]".
std::string DimName(std::string_view field, Layout layout,
                    std::string_view heads_option) {
  const std::string axis = Axis(field, AxesOf(layout).dim);
  return layout == Layout::kBSE ? absl::StrCat(axis, " / ", Str(heads_option))
                                : axis;
}

absl::Status CheckKeyFits(const HeadsShape& query, const HeadsShape& key,
                          Layout layout) {
  ATTN_RETURN_IF_ERROR(CheckEqual("key.shape[0]", "query.shape[0]",
                                  key.batch_size, query.batch_size));
  ATTN_RETURN_IF_ERROR(CheckEqual(DimName("key", layout, "num_kv_heads"),
                                  DimName("query", layout, "num_q_heads"),
                                  key.dim, query.dim));
  if (query.num_heads % key.num_heads == 0) return absl::OkStatus();
  if (layout == Layout::kBSE) {
    return InvalidOption("num_q_heads", "must be a multiple of num_kv_heads",
                         absl::StrCat(query.num_heads, " vs ", key.num_heads));
  }
  const int axis = AxesOf(layout).heads;
  return InvalidTensor(Axis("query", axis),
                       absl::StrCat("(num_q_heads) must be a multiple of ",
                                    Axis("key", axis), " (num_kv_heads)"),
                       absl::StrCat(query.num_heads, " vs ", key.num_heads));
}

// Whether a mask axis of `found` broadcasts to `wanted`.
bool Broadcasts(int64_t found, int64_t wanted) {
  return found == 1 || found == wanted;
}

absl::Status CheckMaskAxes(const TensorSpec& mask, const int64_t (&full)[4]) {
  const size_t rank = mask.dims.size();
  for (size_t axis = 0; axis < rank; ++axis) {
    const int64_t found = mask.dims[axis];
    const int64_t wanted = full[axis + 4 - rank];
    const bool is_key_axis = axis + 1 == rank;
    if (is_key_axis ? found > wanted && found != 1
                    : !Broadcasts(found, wanted)) {
      return InvalidTensor(
          Axis("attn_mask", static_cast<int>(axis)),
          is_key_axis ? absl::StrCat("must be at most kv_len ", wanted)
                      : absl::StrCat("must be 1 or ", wanted,
                                     " to broadcast to ", ToString(full)),
          absl::StrCat(found, " in ", ToString(mask.dims)));
    }
  }
  return absl::OkStatus();
}

// Elements from one index to the next along each of the four axes.
MaskStrides StridesOf(const TensorSpec& mask) {
  int64_t strides[4] = {0, 0, 0, 0};
  int64_t stride = 1;
  for (size_t axis = mask.dims.size(); axis-- > 0;) {
    const int64_t dim = mask.dims[axis];
    if (dim != 1) strides[axis + 4 - mask.dims.size()] = stride;
    stride *= std::max<int64_t>(dim, 1);
  }
  return {strides[0], strides[1], strides[2], strides[3]};
}

}  // namespace

absl::StatusOr<HeadsShape> ReadShape(std::string_view field,
                                     std::string_view heads_option,
                                     const TensorSpec& tensor, Layout layout,
                                     int64_t given_heads) {
  ATTN_RETURN_IF_ERROR(CheckRank(field, tensor, layout));
  const Axes axes = AxesOf(layout);
  ATTN_RETURN_IF_ERROR(CheckNotEmpty(field, tensor, axes.length));
  HeadsShape shape;
  ATTN_ASSIGN_OR_RETURN(shape.num_heads, NumHeads(field, heads_option, tensor,
                                                  layout, given_heads));
  shape.batch_size = tensor.dims[0];
  shape.length = tensor.dims[static_cast<size_t>(axes.length)];
  shape.dim = tensor.dims[static_cast<size_t>(axes.dim)];
  if (layout == Layout::kBSE) shape.dim /= shape.num_heads;
  return shape;
}

absl::Status CheckValueFits(const HeadsShape& key, const HeadsShape& value,
                            Layout layout) {
  const Axes axes = AxesOf(layout);
  ATTN_RETURN_IF_ERROR(CheckEqual("value.shape[0]", "key.shape[0]",
                                  value.batch_size, key.batch_size));
  ATTN_RETURN_IF_ERROR(CheckEqual(Axis("value", axes.length),
                                  Axis("key", axes.length), value.length,
                                  key.length));
  return CheckEqual(Axis("value", axes.heads), Axis("key", axes.heads),
                    value.num_heads, key.num_heads);
}

absl::Status CheckFloat(std::string_view field, DataType dtype) {
  if (IsFloat(dtype)) return absl::OkStatus();
  return InvalidTensor(absl::StrCat(Str(field), ".dtype"),
                       "must be F32, F16, BF16 or F64", Found(dtype));
}

absl::Status CheckTensor(std::string_view field, const TensorSpec& tensor) {
  if (!tensor.is_present) {
    return InvalidTensor(field, "is required", "nothing");
  }
  if (!IsKnown(tensor.dtype)) {
    return InvalidTensor(absl::StrCat(Str(field), ".dtype"),
                         "must be a DataType other than unspecified",
                         Found(tensor.dtype));
  }
  if (tensor.dims.size() > kMaxRank) {
    return InvalidTensor(absl::StrCat(Str(field), ".shape"),
                         absl::StrCat("must have at most ", kMaxRank, " axes"),
                         absl::StrCat(tensor.dims.size()));
  }
  const auto num_elements = NumElements(tensor.dims);
  if (!num_elements.has_value()) {
    return InvalidTensor(absl::StrCat(Str(field), ".shape"),
                         "must hold lengths from 0 whose product is below 2^63",
                         ToString(tensor.dims));
  }
  return CheckDataBytes(field, tensor, *num_elements);
}

absl::Status CheckDtypes(const RequestSpec& spec) {
  ATTN_RETURN_IF_ERROR(CheckFloat("query", spec.query.dtype));
  const std::string rule = absl::StrCat("must equal query.dtype ",
                                        Str(DataTypeName(spec.query.dtype)));
  if (spec.key.dtype != spec.query.dtype) {
    return InvalidTensor("key.dtype", rule, Found(spec.key.dtype));
  }
  if (spec.value.dtype != spec.query.dtype) {
    return InvalidTensor("value.dtype", rule, Found(spec.value.dtype));
  }
  return absl::OkStatus();
}

absl::StatusOr<Geometry> CheckShapes(const RequestSpec& spec) {
  const Layout layout = spec.layout;
  ATTN_ASSIGN_OR_RETURN(
      const HeadsShape query,
      ReadShape("query", "num_q_heads", spec.query, layout, spec.num_q_heads));
  ATTN_ASSIGN_OR_RETURN(
      const HeadsShape key,
      ReadShape("key", "num_kv_heads", spec.key, layout, spec.num_kv_heads));
  ATTN_RETURN_IF_ERROR(CheckKeyFits(query, key, layout));
  ATTN_ASSIGN_OR_RETURN(const HeadsShape value,
                        ReadShape("value", "num_kv_heads", spec.value, layout,
                                  spec.num_kv_heads));
  ATTN_RETURN_IF_ERROR(CheckValueFits(key, value, layout));
  return Geometry{.batch_size = query.batch_size,
                  .num_q_heads = query.num_heads,
                  .num_kv_heads = key.num_heads,
                  .q_len = query.length,
                  .kv_len = key.length,
                  .head_dim = query.dim,
                  .value_head_dim = value.dim};
}

absl::Status CheckMask(const TensorSpec& mask, AttentionPlan& plan) {
  const Geometry& geometry = plan.geometry;
  plan.mask_kv_len = geometry.kv_len;
  if (!mask.is_present) return absl::OkStatus();
  ATTN_RETURN_IF_ERROR(CheckTensor("attn_mask", mask));
  if (mask.dtype != DataType::kBool && mask.dtype != DataType::kF32 &&
      mask.dtype != plan.dtype) {
    return InvalidTensor("attn_mask.dtype",
                         absl::StrCat("must be BOOL, F32 or query.dtype ",
                                      Str(DataTypeName(plan.dtype))),
                         Found(mask.dtype));
  }
  const int64_t full[4] = {geometry.batch_size, geometry.num_q_heads,
                           geometry.q_len, geometry.kv_len};
  if (mask.dims.size() > 4) {
    return InvalidTensor(
        "attn_mask.shape",
        absl::StrCat("must have at most 4 axes to broadcast to ",
                     ToString(full)),
        ToString(mask.dims));
  }
  ATTN_RETURN_IF_ERROR(CheckMaskAxes(mask, full));
  plan.has_mask = true;
  plan.mask_dtype = mask.dtype;
  plan.mask_strides = StridesOf(mask);
  plan.mask_bytes = mask.data_bytes;
  if (!mask.dims.empty() && mask.dims.back() != 1) {
    plan.mask_kv_len = mask.dims.back();
  }
  return absl::OkStatus();
}

}  // namespace attn
