// What the machine can do at this moment: the yardsticks of the figures. SIMD
// code for AVX2 and AVX-512, chosen at run time.
#pragma once

#include <cstdint>

namespace attn::bench {

// Keeps the calling thread busy for about 10 ms: a vCPU that was idle computes
// at a quarter of its speed at first (71 against 286 GFLOP/s).
void WarmUp();

// FLOP/s of multiply-adds on registers, by `num_threads` warm threads together;
// about 15 ms.
double FmaFlops(int num_threads = 1);

// Bytes/s of reading 512 MiB in huge pages once, on the calling thread.
double ReadBytesPerSecond();

}  // namespace attn::bench
