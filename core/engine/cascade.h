// Cascade: tasks of a batch whose sessions are forks of one prefix have the
// same pages in their first splits (split_kv.h). One work item runs such a
// split for all of them, so that its keys and values are read once. The bytes
// of each answer are those of the task alone.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/batching/task.h"
#include "core/engine/attention_task.h"
#include "core/memory/scratch_arena.h"

namespace attn {

// Borrows the task.
struct TaskUnit {
  AttentionTask* task = nullptr;
  int64_t unit = 0;
};

struct Cascade {
  // Units on the same keys, each of another task.
  std::vector<std::vector<TaskUnit>> groups;
  // [num_tasks] So many units of each, its first, are in groups; empty where
  // there are no groups.
  std::vector<int64_t> num_grouped_units;

  int64_t NumGroupedUnits(size_t task) const {
    return num_grouped_units.empty() ? 0 : num_grouped_units[task];
  }
};

Cascade FindCascade(absl::Span<const TaskPtr> tasks);

// Runs the units of a group. RESOURCE_EXHAUSTED without memory for scratch.
absl::Status RunGroup(absl::Span<const TaskUnit> units, ScratchArena& arena);

}  // namespace attn
