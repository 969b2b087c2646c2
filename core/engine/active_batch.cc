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

double UnitCost(const AttentionTask& task) {
  return task.facts().cost /
         static_cast<double>(std::max<int64_t>(1, task.num_units()));
}

int64_t NumItems(double cost, int64_t num_units) {
  const double wanted =
      std::clamp(std::ceil(cost / kItemCost), 1.0, kMaxItemsPerTask);
  return std::min(static_cast<int64_t>(wanted), num_units);
}

// Items of the units from `first` on; each unit before it is in a group, an
// item of its own. Even a task without units gets an item, so that it ends as
// all others do.
void AppendItems(AttentionTask& task, int64_t first,
                 std::vector<WorkItem>& items) {
  const int64_t num_units = task.num_units() - first;
  const double unit_cost = UnitCost(task);
  int64_t num_items =
      NumItems(unit_cost * static_cast<double>(num_units), num_units);
  if (task.num_units() == 0) num_items = 1;
  task.ExpectItems(num_items + first);
  for (int64_t i = 0; i < num_items; ++i) {
    // No overflow: units are bounded by the bytes of a message, items by 4096.
    const int64_t begin = num_units * i / num_items;
    const int64_t end = num_units * (i + 1) / num_items;
    const double cost = task.num_units() == 0
                            ? task.facts().cost
                            : unit_cost * static_cast<double>(end - begin);
    items.push_back({.task = &task,
                     .first_unit = first + begin,
                     .last_unit = first + end,
                     .group = {},
                     .cost = cost});
  }
}

void AppendGroup(absl::Span<const TaskUnit> group,
                 std::vector<WorkItem>& items) {
  WorkItem item{.task = group.front().task,
                .first_unit = 0,
                .last_unit = 0,
                .group = group,
                .cost = 0};
  for (const TaskUnit& unit : group) item.cost += UnitCost(*unit.task);
  items.push_back(item);
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

ActiveBatch::ActiveBatch(Batch batch)
    : tasks_(std::move(batch.tasks)), cascade_(FindCascade(tasks_)) {
  for (size_t i = 0; i < tasks_.size(); ++i) {
    AppendItems(static_cast<AttentionTask&>(*tasks_[i]),
                cascade_.num_grouped_units[i], items_);
  }
  for (const auto& group : cascade_.groups) AppendGroup(group, items_);
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
