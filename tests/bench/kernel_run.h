// A whole case as kernels run it, without engine: problem after problem, on as
// many threads as asked for.
#pragma once

#include <cstdint>

#include "core/attention/kernel_choice.h"
#include "tests/support/attention_case.h"

namespace attn::bench {

// Thread-compatible.
class KernelRun {
 public:
  // With pages, keys and values are read from there. Borrows them.
  explicit KernelRun(test::AttentionCase made, const PagedKv& pages = {});
  KernelRun(const KernelRun&) = delete;
  KernelRun& operator=(const KernelRun&) = delete;

  // Seconds for all problems, shared out over `num_threads` warm threads, of
  // which each has run one of them before; a mean over 50 ms of runs.
  double Seconds(int num_threads = 1);

  const Geometry& geometry() const { return case_.plan.geometry; }

 private:
  double SecondsOfPasses(int num_threads, int64_t passes);
  void RunProblem(int64_t index, const TileGemm& gemm, ScratchArena& arena);

  const test::AttentionCase case_;
  test::AttentionOutputs outputs_;
  RequestBuffers buffers_;
  const KernelChoice kernel_;
};

}  // namespace attn::bench
