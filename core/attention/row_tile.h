// One work item of the tiled kernels: a tile of folded query rows on its way
// over the keys. Scores of a tile of keys, online softmax, weighted sum, next
// tile; never more than one tile of scores in memory. Both products go through
// a TileGemm.
//
// Source of the method: Milakov and Gimelshein, "Online normalizer calculation
// for softmax" (2018); Dao, "FlashAttention-2" (2023).
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "core/attention/problem.h"
#include "core/attention/score_stage.h"
#include "core/attention/tile_gemm.h"
#include "core/attention/top_keys.h"
#include "core/memory/scratch_arena.h"

namespace attn {

// Rows and keys of a tile.
struct TileShape {
  int64_t rows = 0;
  int64_t keys = 0;
};

// Borrows everything. Confined to one worker thread.
class RowTile {
 public:
  // REQUIRES: 0 < rows.size() <= tile.rows.
  RowTile(const Problem& problem, RowRange rows, TileShape tile,
          const TileGemm& gemm)
      : p_(problem),
        rows_(rows),
        tile_(tile),
        gemm_(gemm),
        stage_(problem, rows) {}

  // Computes output, lse, weights and top keys of the rows. INTERNAL when the
  // matrix library fails, RESOURCE_EXHAUSTED without memory for scratch.
  absl::Status Run(ScratchArena& arena);

 private:
  int64_t num_rows() const { return rows_.size(); }

  absl::Status TakeScratch(ScratchArena& arena);
  // visit(first_key, num_keys) for tiles that cover the keys.
  template <typename Visit>
  absl::Status ForEachTile(const KeyRange& keys, const Visit& visit);
  absl::Status VisitKeys();
  absl::Status VisitTile(int64_t first_key, int64_t num_keys);
  absl::Status Score(int64_t first_key, int64_t num_keys);
  absl::Status WeighValues(int64_t first_key, int64_t num_keys);
  void WeighAllowedValues(const float* values, int64_t first_key,
                          int64_t num_keys);
  void Rescale();
  void Normalise();
  void WriteRows();
  absl::Status WalkAgain(const KeyRange& keys);
  void FinishRow(int64_t r, int64_t first_key, int64_t num_keys);
  float FiniteMax(int64_t r) const;
  void WriteTop();

  const Problem& p_;
  const RowRange rows_;
  const TileShape tile_;
  const TileGemm& gemm_;
  ScoreStage stage_;

  // Scratch; R = num_rows(), N = tile_.keys.
  float* query_ = nullptr;        // [R, head_dim], scaled
  float* key_ = nullptr;          // [head_dim, N], transposed
  float* widened_ = nullptr;      // [N, head_dim]
  float* value_ = nullptr;        // [N, value_head_dim]
  float* scores_ = nullptr;       // [R, N]
  float* accumulated_ = nullptr;  // [R, value_head_dim]
  float* max_ = nullptr;          // [R] see SoftmaxTile
  float* rescale_ = nullptr;      // [R]
  double* sum_ = nullptr;         // [R]
  // [R] 4^max over the whole denominator, by which weights are normalised; 0
  // for a row without an allowed key.
  float* norm_ = nullptr;
  float* lse_ = nullptr;           // [R]
  KeyRange* ranges_ = nullptr;     // [R]
  TopKeys<float>* top_ = nullptr;  // [R], if wanted
};

}  // namespace attn
