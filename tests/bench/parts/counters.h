// What one iteration of a benchmark did, as rates in its line of output.
#pragma once

#include <cstdint>

#include "benchmark/benchmark.h"

namespace attn::bench {

// Multiply-adds count as two.
inline void CountFlops(benchmark::State& state, double flops) {
  state.counters["FLOP"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

inline void CountBytes(benchmark::State& state, int64_t bytes) {
  state.SetBytesProcessed(state.iterations() * bytes);
}

inline void CountItems(benchmark::State& state, int64_t items) {
  state.SetItemsProcessed(state.iterations() * items);
}

}  // namespace attn::bench
