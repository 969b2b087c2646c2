// One work item of the tiled kernels: a tile of folded query rows on its way
// over the keys. Scores of a tile of keys, online softmax, weighted sum, next
// tile; never more than one tile of scores in memory. Both products go through
// a TileGemm.
//
// The rows are those of one problem, or shares of several that see the same
// keys in the same pages (cascade): each key is then read once for all of them.
// A row's bits do not depend on the other rows.
//
// Source of the method: Milakov and Gimelshein, "Online normalizer calculation
// for softmax" (2018); Dao, "FlashAttention-2" (2023).
#pragma once

#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/attention/pack.h"
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

// The folded rows of one problem in a tile. Borrows.
struct RowShare {
  const Problem* problem = nullptr;
  RowRange rows;
};

// Borrows everything. Confined to one worker thread.
class RowTile {
 public:
  // `tile_keys`: keys of a tile. REQUIRES: at least one share and one row.
  // Where there are several shares, their problems have the same keys and
  // values, see the same of them, and want neither weights nor top keys.
  RowTile(absl::Span<const RowShare> shares, int64_t tile_keys,
          const TileGemm& gemm);

  // Computes output, lse, weights and top keys of the rows. INTERNAL when the
  // matrix library fails, RESOURCE_EXHAUSTED without memory for scratch.
  absl::Status Run(ScratchArena& arena);

 private:
  // A share's place among the rows, and what its options do to scores.
  struct Member {
    Member(const RowShare& share, int64_t first_row)
        : p(*share.problem),
          rows(share.rows),
          first(first_row),
          stage(*share.problem, share.rows) {}

    int64_t last() const { return first + rows.size(); }
    // Of row r of the tile.
    int64_t Folded(int64_t r) const { return rows.first + r - first; }
    int64_t HeadOf(int64_t r) const { return p.HeadOf(Folded(r)); }
    int64_t RowOf(int64_t r) const { return p.RowOf(Folded(r)); }

    const Problem& p;
    const RowRange rows;
    const int64_t first;
    ScoreStage stage;
  };

  // Columns of a tile and the rows between the first and the last that see some
  // of them: where rows see different keys (causal, windows), the others need
  // no product. Their scores are whatever was there, until Bias forbids them.
  struct Strip {
    int64_t column = 0;
    int64_t num_keys = 0;
    RowRange rows;
  };
  using Strips = absl::InlinedVector<Strip, 4>;

  int64_t num_rows() const { return members_.back().last(); }
  // Of one share, where weights or top keys are wanted; else what all see.
  const Member& front() const { return members_.front(); }

  absl::Status TakeScratch(ScratchArena& arena);
  // visit(first_key, num_keys) for tiles that cover the keys.
  template <typename Visit>
  absl::Status ForEachTile(const KeyRange& keys, const Visit& visit);
  absl::Status VisitKeys();
  absl::Status VisitTile(int64_t first_key, int64_t num_keys);
  Strips StripsOf(int64_t first_key, int64_t num_keys) const;
  absl::Status Score(int64_t first_key, int64_t num_keys, const Strips& strips);
  absl::Status WeighValues(int64_t first_key, int64_t num_keys,
                           const Strips& strips);
  void WeighAllowedValues(const Member& member, const ValueTile& values,
                          int64_t first_key, int64_t num_keys);
  void Rescale();
  void Normalise(const Member& member);
  void WriteRows(const Member& member);
  absl::Status WalkAgain(const KeyRange& keys);
  void FinishRow(int64_t r, int64_t first_key, int64_t num_keys);
  float FiniteMax(int64_t r) const;
  void WriteTop();

  const Problem& p_;  // The first: keys and values are the same in all.
  const int64_t tile_keys_;
  const TileGemm& gemm_;
  absl::InlinedVector<Member, 1> members_;

  // Scratch; R = num_rows(), N = tile_keys_.
  float* query_ = nullptr;    // [R, head_dim], scaled
  float* widened_ = nullptr;  // [N, head_dim]
  // Keys [head_dim, N], and when they are done with, values [N,
  // value_head_dim]: one panel of 32 KiB stays in L1 where two would not.
  float* panel_ = nullptr;
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

  // Whether each tile of values is asked for NaN and infinity: the second time,
  // when the first has met some.
  bool looks_at_values_ = false;
};

}  // namespace attn
