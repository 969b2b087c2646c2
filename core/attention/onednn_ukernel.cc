#include "core/attention/onednn_ukernel.h"

#include <utility>

#include "core/base/status_macros.h"
#include "oneapi/dnnl/dnnl_ukernel.h"

namespace attn {
namespace {

// What a shape and a CPU lack they lack always; the rest may come and go.
absl::Status ToStatus(dnnl_status_t status) {
  switch (status) {
    case dnnl_success:
      return absl::OkStatus();
    case dnnl_invalid_arguments:
    case dnnl_unimplemented:
      return absl::UnimplementedError("the library has no such ukernel");
    default:
      return absl::InternalError("the matrix library failed");
  }
}

// B must be taken as it is, and nothing be needed beside it.
absl::Status CheckNeeds(dnnl_brgemm_t brgemm) {
  dnnl_pack_type_t pack_type = dnnl_pack_type_undef;
  ATTN_RETURN_IF_ERROR(
      ToStatus(dnnl_brgemm_get_B_pack_type(brgemm, &pack_type)));
  size_t scratchpad_bytes = 0;
  ATTN_RETURN_IF_ERROR(
      ToStatus(dnnl_brgemm_get_scratchpad_size(brgemm, &scratchpad_bytes)));
  if (pack_type == dnnl_pack_type_no_trans && scratchpad_bytes == 0) {
    return absl::OkStatus();
  }
  return absl::UnimplementedError("the ukernel wants B packed or a scratchpad");
}

}  // namespace

void Ukernel::Destroy::operator()(dnnl_brgemm* brgemm) const {
  dnnl_brgemm_destroy(brgemm);
}

absl::StatusOr<std::shared_ptr<const Ukernel>> Ukernel::Create(
    const GemmShape& shape, bool accumulate) {
  dnnl_brgemm_t made = nullptr;
  ATTN_RETURN_IF_ERROR(ToStatus(dnnl_brgemm_create(
      &made, shape.m, shape.n, shape.k, /*batch_size=*/1, shape.lda, shape.ldb,
      shape.ldc, dnnl_f32, dnnl_f32, dnnl_f32)));
  Brgemm brgemm(made);
  ATTN_RETURN_IF_ERROR(
      ToStatus(dnnl_brgemm_set_add_C(made, static_cast<int>(accumulate))));
  ATTN_RETURN_IF_ERROR(ToStatus(dnnl_brgemm_finalize(made)));
  ATTN_RETURN_IF_ERROR(CheckNeeds(made));
  ATTN_RETURN_IF_ERROR(ToStatus(dnnl_brgemm_generate(made)));
  return std::shared_ptr<const Ukernel>(new Ukernel(std::move(brgemm)));
}

absl::Status Ukernel::Multiply(const float* a, const float* b, float* c) const {
  const dnnl_dim_t offsets[] = {0, 0};
  return ToStatus(dnnl_brgemm_execute(brgemm_.get(), a, b, offsets, c,
                                      /*scratchpad_ptr=*/nullptr));
}

}  // namespace attn
