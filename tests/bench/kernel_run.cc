#include "tests/bench/kernel_run.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "core/base/check.h"
#include "core/engine/float_mode.h"
#include "tests/bench/figure.h"
#include "tests/bench/yardsticks.h"

namespace attn::bench {

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
  // What is over in no time says more about the thread's first milliseconds.
  constexpr double kShortest = 0.05;
  const double once = SecondsOfPasses(num_threads, 1);
  if (once >= kShortest) return once;
  const auto passes = static_cast<int64_t>(std::ceil(kShortest / once));
  return SecondsOfPasses(num_threads, passes) / static_cast<double>(passes);
}

double KernelRun::SecondsOfPasses(int num_threads, int64_t passes) {
  const int64_t num_problems = geometry().batch_size * geometry().num_kv_heads;
  absl::BlockingCounter ready(num_threads);
  std::atomic<bool> may_start = false;
  const auto work = [&](int number) {
    const auto gemm = MakeTileGemm(Isa::kAuto);
    gemm->ConfineToCallingThread();
    FlushDenormals();
    ScratchArena arena;
    WarmUp();
    RunProblem(number % num_problems, *gemm, arena);
    ready.DecrementCount();
    while (!may_start) std::this_thread::yield();
    for (int64_t i = number; i < passes * num_problems; i += num_threads) {
      RunProblem(i % num_problems, *gemm, arena);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < num_threads; ++i) threads.emplace_back(work, i);
  ready.Wait();
  return SecondsOf([&] {
    may_start = true;
    for (std::thread& thread : threads) thread.join();
  });
}

}  // namespace attn::bench
