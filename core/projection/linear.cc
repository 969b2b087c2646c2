#include "core/projection/linear.h"

#include <utility>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/projection/packed_sizes.h"
#include "core/projection/panel_linear.h"
#ifdef ATTN_WITH_ONEDNN
#include "core/projection/onednn_linear.h"
#endif

namespace attn {

absl::StatusOr<std::unique_ptr<Linear>> Linear::Pack(const LinearSource& source,
                                                     WeightFormat format) {
  ATTN_CHECK(source.in_dim >= 1 && source.out_dim >= 1);
  ATTN_CHECK(format != WeightFormat::kUnspecified);
#ifdef ATTN_WITH_ONEDNN
  if (format == WeightFormat::kF32) {
    ATTN_ASSIGN_OR_RETURN(auto linear, PackOnednnLinear(source));
    if (linear != nullptr) return linear;
  }
#endif
  return PanelLinear::Pack(source, format);
}

int64_t Linear::PackedBytes(int64_t in_dim, int64_t out_dim,
                            WeightFormat format) {
  const int64_t panel_floats = format == WeightFormat::kInt8
                                   ? RoundUp(out_dim, kPanelChannels) + in_dim
                                   : 0;
  return WeightBufferBytes(in_dim, out_dim, format) +
         (out_dim + panel_floats) * int64_t{sizeof(float)};
}

}  // namespace attn
