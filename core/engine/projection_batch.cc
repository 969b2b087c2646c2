#include "core/engine/projection_batch.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "core/base/status_macros.h"

namespace attn {
namespace {

// Beyond, weights are read often enough, and rows leave the cache.
constexpr int64_t kTileRows = 128;

// What rows must share to share a product.
using LinearSet = std::pair<const Linear*, size_t>;

LinearSet SetOf(const ProjectedRows& rows) {
  return {rows.projections.front().linear, rows.projections.size()};
}

// Cuts the rows of one set of linears, task by task, into tiles.
class TileMaker {
 public:
  void Add(ProjectionTask& task, size_t part) {
    const int64_t num_rows = task.parts()[part].num_rows;
    for (int64_t first = 0; first < num_rows;) {
      if (tiles_.empty() || tiles_.back().num_rows == kTileRows) {
        tiles_.emplace_back();
      }
      ProjectionTile& tile = tiles_.back();
      const int64_t n = std::min(num_rows - first, kTileRows - tile.num_rows);
      tile.slices.push_back({&task, part, first, n});
      tile.num_rows += n;
      first += n;
    }
  }

  std::vector<ProjectionTile> Take() { return std::move(tiles_); }

 private:
  std::vector<ProjectionTile> tiles_;
};

std::vector<ProjectionTile> FindTiles(absl::Span<const TaskPtr> tasks) {
  std::vector<LinearSet> order;  // Of their first rows, not of addresses.
  std::map<LinearSet, TileMaker> makers;
  for (const TaskPtr& task : tasks) {
    if (static_cast<EngineTask&>(*task).kind() !=
        EngineTask::Kind::kProjection) {
      continue;
    }
    auto& projection_task = static_cast<ProjectionTask&>(*task);
    for (size_t part = 0; part < projection_task.parts().size(); ++part) {
      const LinearSet set = SetOf(projection_task.parts()[part]);
      const auto [maker, is_new] = makers.try_emplace(set);
      if (is_new) order.push_back(set);
      maker->second.Add(projection_task, part);
    }
  }
  std::vector<ProjectionTile> tiles;
  for (const LinearSet& set : order) {
    for (ProjectionTile& tile : makers[set].Take()) {
      tiles.push_back(std::move(tile));
    }
  }
  return tiles;
}

void AppendUnits(const ProjectionTile& tile,
                 std::vector<ProjectionUnit>& units) {
  for (size_t i = 0; i < tile.any().projections.size(); ++i) {
    const int64_t num_blocks = tile.any().projections[i].linear->num_blocks();
    for (int64_t block = 0; block < num_blocks; ++block) {
      units.push_back({&tile, i, block});
    }
  }
}

// The channels of a unit.
struct Channels {
  int64_t first;
  int64_t count;
};

Channels ChannelsOf(const ProjectionUnit& unit) {
  const Linear& linear = unit.linear();
  const int64_t first = unit.block * linear.block_channels();
  return {first, std::min(linear.block_channels(), linear.out_dim() - first)};
}

// Where a slice's own rows and channels lie.
InRows InOf(const RowSlice& slice) {
  const InRows& in = slice.rows().in;
  return {in.data + slice.first_row * in.stride, in.stride};
}

OutRows OutOf(const RowSlice& slice, const ProjectionUnit& unit) {
  const OutRows& out = slice.rows().projections[unit.projection].out;
  return {out.data + slice.first_row * out.stride + ChannelsOf(unit).first,
          out.stride};
}

void Scatter(const ProjectionUnit& unit, const OutRows& from) {
  const size_t bytes =
      static_cast<size_t>(ChannelsOf(unit).count) * sizeof(float);
  const float* row = from.data;
  for (const RowSlice& slice : unit.tile->slices) {
    const OutRows out = OutOf(slice, unit);
    for (int64_t i = 0; i < slice.num_rows; ++i, row += from.stride) {
      std::memcpy(out.data + i * out.stride, row, bytes);
    }
  }
}

}  // namespace

int64_t ProjectionTask::num_rows() const {
  int64_t num_rows = 0;
  for (const ProjectedRows& rows : parts_) num_rows += rows.num_rows;
  return num_rows;
}

double ProjectionCost(const ProjectedParts& parts) {
  double cost = 0;
  for (const ProjectedRows& rows : parts) {
    for (const Projection& projection : rows.projections) {
      cost += 2 * static_cast<double>(rows.num_rows) *
              static_cast<double>(projection.linear->in_dim()) *
              static_cast<double>(projection.linear->out_dim());
    }
  }
  return cost;
}

double ProjectionUnit::cost() const {
  return 2 * static_cast<double>(tile->num_rows) *
         static_cast<double>(linear().in_dim()) *
         static_cast<double>(ChannelsOf(*this).count);
}

ProjectionBatch FindProjections(absl::Span<const TaskPtr> tasks) {
  ProjectionBatch batch{.tiles = FindTiles(tasks)};
  std::map<ProjectionTask*, int64_t> num_items;
  for (const ProjectionTile& tile : batch.tiles) {
    const size_t before = batch.units.size();
    AppendUnits(tile, batch.units);
    for (const RowSlice& slice : tile.slices) {
      num_items[slice.task] +=
          static_cast<int64_t>(batch.units.size() - before);
    }
  }
  for (const auto& [task, count] : num_items) task->ExpectItems(count);
  return batch;
}

absl::StatusOr<GatheredRows::Buffers> GatheredRows::Gather(
    const ProjectionTile& tile) {
  if (tile_ == &tile) return buffers_;
  Forget();
  const int64_t in_dim = tile.any().projections.front().linear->in_dim();
  int64_t channels = 0;
  for (const Projection& projection : tile.any().projections) {
    channels = std::max(channels, projection.linear->block_channels());
  }
  ATTN_RETURN_IF_ERROR(
      arena_.Reset(ScratchArena::BytesFor<float>(tile.num_rows * in_dim) +
                   ScratchArena::BytesFor<float>(tile.num_rows * channels)));
  float* rows = arena_.Take<float>(tile.num_rows * in_dim);
  buffers_ = {{rows, in_dim},
              {arena_.Take<float>(tile.num_rows * channels), channels}};
  for (const RowSlice& slice : tile.slices) {
    const InRows in = InOf(slice);
    for (int64_t i = 0; i < slice.num_rows; ++i, rows += in_dim) {
      std::memcpy(rows, in.data + i * in.stride,
                  static_cast<size_t>(in_dim) * sizeof(float));
    }
  }
  tile_ = &tile;
  return buffers_;
}

absl::Status RunProjection(const ProjectionUnit& unit, GatheredRows& gathered,
                           ScratchArena& arena) {
  const ProjectionTile& tile = *unit.tile;
  if (tile.slices.size() == 1) {
    const RowSlice& slice = tile.slices.front();
    return unit.linear().MultiplyBlock(unit.block, slice.num_rows, InOf(slice),
                                       OutOf(slice, unit), arena);
  }
  ATTN_ASSIGN_OR_RETURN(const GatheredRows::Buffers buffers,
                        gathered.Gather(tile));
  ATTN_RETURN_IF_ERROR(unit.linear().MultiplyBlock(
      unit.block, tile.num_rows, buffers.in, buffers.out, arena));
  Scatter(unit, buffers.out);
  return absl::OkStatus();
}

}  // namespace attn
