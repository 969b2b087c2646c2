#include "core/engine/active_batch.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace attn {
namespace {

// About 100 us of work: long beside a claim (well under 1 us), short beside a
// deadline check.
constexpr double kItemCost = 5e6;
constexpr double kMaxItemsPerTask = 4096;

int64_t NumItems(const AttentionTask& task) {
  const double wanted = std::clamp(std::ceil(task.facts().cost / kItemCost),
                                   1.0, kMaxItemsPerTask);
  return std::min(static_cast<int64_t>(wanted), task.num_units());
}

// Even a task without units gets an item, so that it ends as all others do.
void AppendItems(AttentionTask& task, std::vector<WorkItem>& items) {
  const int64_t num_items = std::max<int64_t>(1, NumItems(task));
  task.ExpectItems(num_items);
  for (int64_t i = 0; i < num_items; ++i) {
    // No overflow: units are bounded by the bytes of a message, items by 4096.
    items.push_back(
        {.task = &task,
         .first_unit = task.num_units() * i / num_items,
         .last_unit = task.num_units() * (i + 1) / num_items,
         .cost = task.facts().cost / static_cast<double>(num_items)});
  }
}

int Rank(const WorkItem& item) {
  const Priority priority = item.task->facts().priority;
  return static_cast<int>(priority == Priority::kUnspecified ? Priority::kNormal
                                                             : priority);
}

bool RunsBefore(const WorkItem& a, const WorkItem& b) {
  if (Rank(a) != Rank(b)) return Rank(a) > Rank(b);
  return a.cost > b.cost;
}

}  // namespace

ActiveBatch::ActiveBatch(Batch batch) : tasks_(std::move(batch.tasks)) {
  for (const TaskPtr& task : tasks_) {
    AppendItems(static_cast<AttentionTask&>(*task), items_);
  }
  std::stable_sort(items_.begin(), items_.end(), RunsBefore);
}

const WorkItem* ActiveBatch::Claim() {
  const size_t index = next_.fetch_add(1, std::memory_order_relaxed);
  return index < items_.size() ? &items_[index] : nullptr;
}

bool ActiveBatch::HasUnclaimed() const {
  return next_.load(std::memory_order_relaxed) < items_.size();
}

}  // namespace attn
