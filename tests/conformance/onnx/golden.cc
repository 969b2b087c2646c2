#include "tests/conformance/onnx/golden.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace attn::test {
namespace {

constexpr std::string_view kRounded[] = {
    "attention_4d_causal_bf16",           "attention_4d_padded_kv_bf16",
    "attention_4d_causal_padded_kv_bf16", "attention_4d_attn_mask_causal_bf16",
    "attention_3d_causal_bf16",
};

// How much of what the tolerance allows an element uses; above 1 it fails.
double Share(float got, float want, const Tolerance& tolerance) {
  if (got == want) {
    return 0;
  }
  const double allowed =
      tolerance.absolute +
      tolerance.relative * std::abs(static_cast<double>(want));
  const double share =
      std::abs(static_cast<double>(got) - static_cast<double>(want)) / allowed;
  // NaN, and an infinity where the golden is another one, agree with nothing.
  return std::isfinite(got) && std::isfinite(want) ? share : HUGE_VAL;
}

}  // namespace

absl::Span<const std::string_view> RoundedGoldens() { return kRounded; }

std::vector<float> ElementsOf(const client::Tensor& tensor) {
  return tensor.present() ? tensor.ToFloats().value() : std::vector<float>();
}

std::string Difference(absl::Span<const float> got, const client::Tensor& want,
                       const Tolerance& tolerance) {
  const std::vector<float> golden = ElementsOf(want);
  if (got.size() != golden.size()) {
    return absl::StrCat(got.size(), " elements instead of ", golden.size(),
                        "\n");
  }
  size_t num_wrong = 0;
  size_t worst = 0;
  double worst_share = 1;
  for (size_t i = 0; i < golden.size(); ++i) {
    const double share = Share(got[i], golden[i], tolerance);
    num_wrong += share > 1 ? 1 : 0;
    if (share > worst_share) {
      worst = i;
      worst_share = share;
    }
  }
  if (num_wrong == 0) {
    return "";
  }
  return absl::StrCat(num_wrong, " of ", golden.size(), " differ; worst at ",
                      worst, " of ", client::ShapeText(want.shape()), ": got ",
                      got[worst], ", golden ", golden[worst], ", ", worst_share,
                      " times what rtol ", tolerance.relative, " and atol ",
                      tolerance.absolute, " allow\n");
}

}  // namespace attn::test
