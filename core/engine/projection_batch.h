// Ragged batching over tokens: the rows of all projection tasks of a batch that
// go through the same linears, side by side, so that weights are read once for
// all of them. The bits of a row are those of the row alone (linear.h).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/batching/task.h"
#include "core/engine/projection_task.h"
#include "core/memory/scratch_arena.h"

namespace attn {

// Consecutive rows of one part of a task. Borrows the task.
struct RowSlice {
  ProjectionTask* task = nullptr;
  size_t part = 0;
  int64_t first_row = 0;
  int64_t num_rows = 0;

  const ProjectedRows& rows() const { return task->parts()[part]; }
};

// Rows that are multiplied together; a task is in it at most once.
struct ProjectionTile {
  std::vector<RowSlice> slices = {};
  int64_t num_rows = 0;

  // All slices have the same linears.
  const ProjectedRows& any() const { return slices.front().rows(); }
};

// A block of output channels of one linear over a tile: what a worker runs.
// Borrows the tile.
struct ProjectionUnit {
  const ProjectionTile* tile = nullptr;
  size_t projection = 0;
  int64_t block = 0;

  const Linear& linear() const {
    return *tile->any().projections[projection].linear;
  }
  double cost() const;
};

// The units of the projection tasks among `tasks`, in their order.
// Thread-compatible.
struct ProjectionBatch {
  std::vector<ProjectionTile> tiles = {};
  std::vector<ProjectionUnit> units = {};
};

// Tells each of those tasks how many items to expect: one a unit.
ProjectionBatch FindProjections(absl::Span<const TaskPtr> tasks);

// A worker's copy of a tile's rows, kept for its next unit. Confined to one
// thread.
class GatheredRows {
 public:
  struct Buffers {
    InRows in;
    OutRows out;  // For the channels of one block.
  };
  // RESOURCE_EXHAUSTED without memory.
  absl::StatusOr<Buffers> Gather(const ProjectionTile& tile);
  // The tile is gone.
  void Forget() { tile_ = nullptr; }

 private:
  const ProjectionTile* tile_ = nullptr;
  Buffers buffers_;
  ScratchArena arena_;
};

// Errors: the linear's, and Gather's.
absl::Status RunProjection(const ProjectionUnit& unit, GatheredRows& gathered,
                           ScratchArena& arena);

}  // namespace attn
