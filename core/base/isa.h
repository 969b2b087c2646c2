// The instruction sets that kernels may use. One binary carries AVX2 and
// AVX-512 code and chooses at start; `--max-isa` caps the choice for our SIMD
// code (Highway) and for oneDNN alike.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn {

enum class Isa { kAvx2, kAvx512, kAuto };

// "avx2", "avx512" or "auto"; INVALID_ARGUMENT otherwise.
absl::StatusOr<Isa> ParseIsa(std::string_view name);

// Caps what Highway's dynamic dispatch may choose. Call once, before the first
// kernel runs. MakeTileGemm (core/attention/tile_gemm.h) caps the library.
void CapSimdIsa(Isa max_isa);

// What Highway chose, e.g. "AVX3_DL".
std::string ChosenSimdIsa();

}  // namespace attn
