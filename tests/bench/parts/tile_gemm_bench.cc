// Products of tiles: prefill's, by each TileGemm there is, and those of few
// rows with B as a session stores it.
#include <memory>

#include "core/attention/small_tile_gemm.h"
#include "core/attention/tile_gemm.h"
#include "core/base/check.h"
#include "tests/bench/parts/counters.h"
#include "tests/bench/parts/random_buffer.h"

namespace attn::bench {
namespace {

using Form = StoredMatrix::Form;

GemmShape ShapeOf(const benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  return {.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n};
}

double Flops(const GemmShape& s) {
  return 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) *
         static_cast<double>(s.k);
}

std::unique_ptr<TileGemm> Library() { return MakeTileGemm(Isa::kAuto); }
std::unique_ptr<TileGemm> Own() { return std::make_unique<SmallTileGemm>(); }
std::unique_ptr<TileGemm> Portable() { return MakePortableTileGemm(); }

void TileGemmTile(benchmark::State& state,
                  std::unique_ptr<TileGemm> (*make)()) {
  const auto gemm = make();
  gemm->ConfineToCallingThread();
  const GemmShape shape = ShapeOf(state);
  const AlignedBuffer a = RandomBuffer(DataType::kF32, shape.m * shape.k);
  const AlignedBuffer b = RandomBuffer(DataType::kF32, shape.k * shape.n);
  const AlignedBuffer c = RandomBuffer(DataType::kF32, shape.m * shape.n);
  while (state.KeepRunning()) {
    ATTN_CHECK(gemm->Multiply(shape, FloatsOf(a), FloatsOf(b), FloatsOf(c),
                              /*accumulate=*/false)
                   .ok());
    benchmark::ClobberMemory();
  }
  CountFlops(state, Flops(shape));
}

void PrefillTiles(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"m", "n", "k"});
  benchmark->Args({256, 256, 128})->Args({256, 256, 64});
  benchmark->Args({256, 64, 256})->Args({256, 128, 256});
  benchmark->Args({256, 64, 128})->Args({256, 128, 64});
  benchmark->Args({256, 9, 128});  // The end of a sequence.
}

BENCHMARK_CAPTURE(TileGemmTile, library, Library)->Apply(PrefillTiles);
BENCHMARK_CAPTURE(TileGemmTile, own, Own)->Apply(PrefillTiles);
BENCHMARK_CAPTURE(TileGemmTile, portable, Portable)->Apply(PrefillTiles);

AlignedBuffer MakeStored(Form form, int64_t n) {
  switch (form) {
    case Form::kF32:
      return RandomBuffer(DataType::kF32, n);
    case Form::kF16:
      return RandomBuffer(DataType::kF16, n);
    case Form::kBF16:
      return RandomBuffer(DataType::kBF16, n);
    case Form::kInt8:
      break;
  }
  return RandomCodes(n);
}

// Scores of few rows against a page of 64 keys.
void TileGemmStored(benchmark::State& state, Form form) {
  const GemmShape shape = ShapeOf(state);
  const AlignedBuffer a = RandomBuffer(DataType::kF32, shape.m * shape.k);
  const AlignedBuffer b = MakeStored(form, shape.k * shape.n);
  const AlignedBuffer scales = RandomBuffer(DataType::kF32, shape.k);
  const AlignedBuffer c = RandomBuffer(DataType::kF32, shape.m * shape.n);
  // As in a walk over pages, but that this one is in the cache.
  const StoredMatrix stored{.form = form,
                            .data = b.data(),
                            .row_scales = FloatsOf(scales),
                            .next = b.data()};
  const SmallTileGemm gemm;
  while (state.KeepRunning()) {
    ATTN_CHECK(gemm.MultiplyStored(shape, FloatsOf(a), stored, FloatsOf(c),
                                   /*accumulate=*/false)
                   .ok());
    benchmark::ClobberMemory();
  }
  CountFlops(state, Flops(shape));
  CountBytes(state, b.size_bytes());
}

void FewRows(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"m", "n", "k"});
  for (const int64_t rows : {1, 4, 16}) benchmark->Args({rows, 64, 128});
}

BENCHMARK_CAPTURE(TileGemmStored, f32, Form::kF32)->Apply(FewRows);
BENCHMARK_CAPTURE(TileGemmStored, f16, Form::kF16)->Apply(FewRows);
BENCHMARK_CAPTURE(TileGemmStored, bf16, Form::kBF16)->Apply(FewRows);
BENCHMARK_CAPTURE(TileGemmStored, int8, Form::kInt8)->Apply(FewRows);

}  // namespace
}  // namespace attn::bench
