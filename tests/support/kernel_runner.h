// Runs a whole case through a kernel on the calling thread, without engine or
// batching.
#pragma once

#include "core/attention/kernel_choice.h"
#include "core/attention/tile_gemm.h"
#include "tests/support/attention_case.h"

namespace attn::test {

// The kernel that the engine would choose.
AttentionOutputs RunKernel(const AttentionCase& attention_case,
                           const TileGemm& gemm);

// This kernel, in its own tiles. REQUIRES: the kernel can run the case.
// With pages, keys and values are read from there.
AttentionOutputs RunKernel(const AttentionCase& attention_case,
                           const TileGemm& gemm, KernelKind kind,
                           const PagedKv& pages = {});

// The tile GEMM of this build, made once.
const TileGemm& DefaultGemm();

}  // namespace attn::test
