// Runs a whole case through the prefill kernel on the calling thread, without
// engine or batching.
#pragma once

#include "core/attention/tile_gemm.h"
#include "tests/support/attention_case.h"

namespace attn::test {

AttentionOutputs RunPrefill(const AttentionCase& attention_case,
                            const TileGemm& gemm);

// The tile GEMM of this build, made once.
const TileGemm& DefaultGemm();

}  // namespace attn::test
