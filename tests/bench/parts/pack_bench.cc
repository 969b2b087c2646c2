// Packing of a tile: keys transposed, from a request's tensor and from pages,
// and queries.
#include <memory>

#include "core/attention/pack.h"
#include "tests/bench/parts/counters.h"
#include "tests/bench/parts/random_buffer.h"
#include "tests/support/attention_case.h"
#include "tests/support/paged_case.h"

namespace attn::bench {
namespace {

constexpr int64_t kRows = 256;
constexpr int64_t kDim = 128;

// One head of kRows queries and as many keys, with room to pack them.
class Tile {
 public:
  Tile(DataType dtype, bool is_paged)
      : case_(test::MakeCase(Options(dtype))),
        pages_(case_),
        buffers_(case_.Inputs()),
        packed_(RandomBuffer(DataType::kF32, kRows * kDim)),
        widened_(RandomBuffer(DataType::kF32, kRows * kDim)) {
    if (is_paged) buffers_.paged = pages_.View();
    problem_ = MakeProblem(case_.plan, buffers_, /*b=*/0, /*kv_head=*/0);
  }
  Tile(const Tile&) = delete;
  Tile& operator=(const Tile&) = delete;

  void PackKeys() {
    PackKeyTile(problem_, /*first_key=*/0, kRows,
                {.widened = FloatsOf(widened_),
                 .packed = FloatsOf(packed_),
                 .stride = kRows});
  }
  void PackQueries() {
    PackQueryTile(problem_, {0, kRows}, /*factor=*/0.5f, FloatsOf(packed_));
  }

 private:
  static test::CaseOptions Options(DataType dtype) {
    test::CaseOptions options;
    options.num_q_heads = options.num_kv_heads = 1;
    options.q_len = options.kv_len = kRows;
    options.head_dim = options.value_head_dim = kDim;
    options.dtype = dtype;
    return options;
  }

  const test::AttentionCase case_;
  const test::PagedCase pages_;
  RequestBuffers buffers_;
  const AlignedBuffer packed_;
  const AlignedBuffer widened_;
  Problem problem_;
};

void CountTile(benchmark::State& state, DataType dtype) {
  CountItems(state, kRows * kDim);
  CountBytes(state, kRows * kDim * ElementBytes(dtype));
}

void PackKeys256x128(benchmark::State& state, DataType dtype, bool is_paged) {
  Tile tile(dtype, is_paged);
  while (state.KeepRunning()) {
    tile.PackKeys();
    benchmark::ClobberMemory();
  }
  CountTile(state, dtype);
}

void PackQueries256x128(benchmark::State& state, DataType dtype) {
  Tile tile(dtype, /*is_paged=*/false);
  while (state.KeepRunning()) {
    tile.PackQueries();
    benchmark::ClobberMemory();
  }
  CountTile(state, dtype);
}

BENCHMARK_CAPTURE(PackKeys256x128, f32, DataType::kF32, false);
BENCHMARK_CAPTURE(PackKeys256x128, f16, DataType::kF16, false);
BENCHMARK_CAPTURE(PackKeys256x128, bf16, DataType::kBF16, false);
BENCHMARK_CAPTURE(PackKeys256x128, f32_pages, DataType::kF32, true);
BENCHMARK_CAPTURE(PackKeys256x128, bf16_pages, DataType::kBF16, true);
BENCHMARK_CAPTURE(PackQueries256x128, f32, DataType::kF32);
BENCHMARK_CAPTURE(PackQueries256x128, bf16, DataType::kBF16);

}  // namespace
}  // namespace attn::bench
