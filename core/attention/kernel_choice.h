// Which kernel runs the problems of a plan, and how many folded rows at a time:
// a function of the plan alone, so that a row's bits never depend on what else
// runs.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "core/attention/attention_plan.h"
#include "core/attention/problem.h"
#include "core/attention/row_tile.h"
#include "core/attention/tile_gemm.h"
#include "core/memory/scratch_arena.h"

namespace attn {

enum class KernelKind {
  kPrefill,  // Tiles of rows, products by the matrix library.
  kDecode,   // Few rows, products of our own.
  kF64,      // F64 tensors, all arithmetic in f64.
};

struct KernelChoice {
  KernelKind kind = KernelKind::kPrefill;
  TileShape tile;  // Work items are of up to tile.rows folded rows.
};

KernelChoice ChooseKernel(const AttentionPlan& plan);

// Runs the chosen kernel. Errors: the kernels'.
// REQUIRES: 0 < rows.size() <= choice.tile.rows.
absl::Status AttendRows(const KernelChoice& choice, const Problem& problem,
                        RowRange rows, const TileGemm& gemm,
                        ScratchArena& arena);

}  // namespace attn
