#include "tests/bench/kernel_run.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "core/base/check.h"
#include "core/engine/float_mode.h"

namespace attn::bench {

using Clock = std::chrono::steady_clock;

KernelRun::KernelRun(test::AttentionCase made, const PagedKv& pages)
    : case_(std::move(made)),
      outputs_(case_.plan),
      buffers_(case_.Inputs()),
      kernel_(ChooseKernel(case_.plan)) {
  buffers_.paged = pages;
  outputs_.AddTo(buffers_);
}

void KernelRun::RunProblem(int64_t index, const TileGemm& gemm,
                           ScratchArena& arena) {
  const int64_t num_heads = geometry().num_kv_heads;
  const Problem problem =
      MakeProblem(case_.plan, buffers_, index / num_heads, index % num_heads);
  for (int64_t row = 0; row < problem.num_rows(); row += kernel_.tile.rows) {
    const RowRange rows{row,
                        std::min(problem.num_rows(), row + kernel_.tile.rows)};
    ATTN_CHECK(AttendRows(kernel_, problem, rows, gemm, arena).ok());
  }
}

double KernelRun::Seconds(int num_threads) {
  const int64_t num_problems = geometry().batch_size * geometry().num_kv_heads;
  absl::BlockingCounter ready(num_threads);
  std::atomic<bool> may_start = false;
  const auto work = [&](int number) {
    const auto gemm = MakeTileGemm(Isa::kAuto);
    gemm->ConfineToCallingThread();
    FlushDenormals();
    ScratchArena arena;
    RunProblem(number % num_problems, *gemm, arena);
    ready.DecrementCount();
    while (!may_start) std::this_thread::yield();
    for (int64_t i = number; i < num_problems; i += num_threads) {
      RunProblem(i, *gemm, arena);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < num_threads; ++i) threads.emplace_back(work, i);
  ready.Wait();
  const auto start = Clock::now();
  may_start = true;
  for (std::thread& thread : threads) thread.join();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace attn::bench
