// A batch on the workers: its tasks cut into work items that any worker claims
// by an atomic counter, urgent and large ones first.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/batching/batch_scheduler.h"
#include "core/engine/attention_task.h"
#include "core/engine/cascade.h"
#include "core/engine/projection_batch.h"

namespace attn {

// Consecutive units of one task, a group of units of several, or a projection
// for several: what a worker runs between two looks at the clock. Borrows the
// tasks, which its ActiveBatch keeps alive.
struct WorkItem {
  EngineTask* task = nullptr;  // Of several: the most urgent one.
  int64_t first_unit = 0;
  int64_t last_unit = 0;
  absl::Span<const TaskUnit> group = {};       // Not empty: these units.
  const ProjectionUnit* projection = nullptr;  // Not null: this one.
  double cost = 0;
  size_t number = 0;  // In the order in which items were made.
};

// Used for one batch after another, whose memory it keeps. Thread-safe while it
// is filled.
class ActiveBatch {
 public:
  // REQUIRES: it is clear.
  void Fill(Batch batch);
  // Lets go of the tasks. REQUIRES: no worker uses it any more.
  void Clear();

  // The next unclaimed item; null when all are claimed.
  const WorkItem* Claim();
  bool HasUnclaimed() const;

  const TaskList& tasks() const { return tasks_; }
  const std::vector<WorkItem>& items() const { return items_; }

 private:
  TaskList tasks_;
  Cascade cascade_;              // Its groups are those of the items.
  ProjectionBatch projections_;  // Likewise.
  std::vector<WorkItem> items_;
  std::atomic<size_t> next_{0};
};

}  // namespace attn
