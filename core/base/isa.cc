#include "core/base/isa.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "hwy/highway.h"

namespace attn {

absl::StatusOr<Isa> ParseIsa(std::string_view name) {
  if (name == "avx2") return Isa::kAvx2;
  if (name == "avx512") return Isa::kAvx512;
  if (name == "auto") return Isa::kAuto;
  return absl::InvalidArgumentError(
      absl::StrCat("max-isa must be auto, avx512 or avx2; got ",
                   absl::string_view(name.data(), name.size())));
}

void CapSimdIsa(Isa max_isa) {
#if HWY_ARCH_X86
  // Lower bits are better targets.
  if (max_isa == Isa::kAvx2) hwy::DisableTargets(HWY_AVX2 - 1);
  if (max_isa == Isa::kAvx512) hwy::DisableTargets(HWY_AVX3 - 1);
#endif
  hwy::GetChosenTarget().DeInit();
}

std::string ChosenSimdIsa() {
  // Lower bits are better targets; the best one compiled in is chosen.
  const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(supported & -supported);
}

}  // namespace attn
