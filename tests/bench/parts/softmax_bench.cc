// One step of the online softmax: a tile of prefill and one of decode.
#include <cmath>
#include <cstring>
#include <ctime>
#include <vector>

#include "core/attention/score_ops.h"
#include "tests/bench/parts/counters.h"
#include "tests/bench/parts/random_buffer.h"

namespace attn::bench {
namespace {

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) / 1e9;
}

// Steps over 65536 scores, in as many tiles as they make.
void Softmax(benchmark::State& state) {
  constexpr int64_t kScores = 65536;
  const int64_t rows = state.range(0), keys = state.range(1);
  const AlignedBuffer fresh = RandomBuffer(DataType::kF32, kScores);
  const AlignedBuffer scores = RandomBuffer(DataType::kF32, kScores);
  const auto num_rows = static_cast<size_t>(rows);
  std::vector<float> max(num_rows, -INFINITY), rescale(num_rows);
  std::vector<double> sum(num_rows);
  SoftmaxTile tile{.num_rows = rows,
                   .num_keys = keys,
                   .stride = keys,
                   .max = max.data(),
                   .sum = sum.data(),
                   .rescale = rescale.data()};
  while (state.KeepRunning()) {
    // Scores become weights in place, so each pass needs new ones, whose
    // copying does not count.
    std::memcpy(scores.data(), fresh.data(),
                static_cast<size_t>(scores.size_bytes()));
    const double start = CpuSeconds();
    for (int64_t first = 0; first < kScores; first += rows * keys) {
      tile.scores = FloatsOf(scores) + first;
      SoftmaxStep(tile);
    }
    state.SetIterationTime(CpuSeconds() - start);
  }
  CountItems(state, kScores);
  CountBytes(state, scores.size_bytes());
}

BENCHMARK(Softmax)
    ->ArgNames({"rows", "keys"})
    ->Args({256, 256})
    ->Args({4, 64})
    ->UseManualTime();

}  // namespace
}  // namespace attn::bench
