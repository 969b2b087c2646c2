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
// Room that a batch keeps for the next one.
constexpr size_t kKeptItems = 4096;

double UnitCost(const AttentionTask& task) {
  return task.facts().cost /
         static_cast<double>(std::max<int64_t>(1, task.num_units()));
}

int64_t NumItems(double cost, int64_t num_units) {
  const double wanted =
      std::clamp(std::ceil(cost / kItemCost), 1.0, kMaxItemsPerTask);
  return std::min(static_cast<int64_t>(wanted), num_units);
}

// Even a task without units gets an item, so that it ends as all others do.
void AppendEmptyItem(EngineTask& task, std::vector<WorkItem>& items) {
  task.ExpectItems(1);
  items.push_back({.task = &task, .cost = task.facts().cost});
}

// Items of the units from `first` on; each unit before it is in a group, an
// item of its own.
void AppendItems(AttentionTask& task, int64_t first,
                 std::vector<WorkItem>& items) {
  if (task.num_units() == 0) return AppendEmptyItem(task, items);
  const int64_t num_units = task.num_units() - first;
  const double cost =
      UnitCost(task) * static_cast<double>(std::max<int64_t>(1, num_units));
  const int64_t num_items = NumItems(cost, num_units);
  task.ExpectItems(num_items + first);
  for (int64_t i = 0; i < num_items; ++i) {
    // No overflow: units are bounded by the bytes of a message, items by 4096.
    items.push_back({.task = &task,
                     .first_unit = first + num_units * i / num_items,
                     .last_unit = first + num_units * (i + 1) / num_items,
                     .cost = cost / static_cast<double>(num_items)});
  }
}

int Rank(const EngineTask& task) {
  const Priority priority = task.facts().priority;
  return static_cast<int>(priority == Priority::kUnspecified ? Priority::kNormal
                                                             : priority);
}

// The first one where both are alike; `first` may be null.
EngineTask* MoreUrgent(EngineTask* first, EngineTask* second) {
  return first == nullptr || Rank(*second) > Rank(*first) ? second : first;
}

// A group is as urgent as its most urgent task.
void AppendGroup(absl::Span<const TaskUnit> group,
                 std::vector<WorkItem>& items) {
  WorkItem item;
  item.group = group;
  for (const TaskUnit& unit : group) {
    item.task = MoreUrgent(item.task, unit.task);
    item.cost += UnitCost(*unit.task);
  }
  items.push_back(item);
}

// Likewise.
void AppendProjection(const ProjectionUnit& unit,
                      std::vector<WorkItem>& items) {
  WorkItem item{.projection = &unit, .cost = unit.cost()};
  for (const RowSlice& slice : unit.tile->slices) {
    item.task = MoreUrgent(item.task, slice.task);
  }
  items.push_back(item);
}

// Ties in the order in which the items were made: the same every time.
bool RunsBefore(const WorkItem& a, const WorkItem& b) {
  if (Rank(*a.task) != Rank(*b.task)) return Rank(*a.task) > Rank(*b.task);
  if (a.cost != b.cost) return a.cost > b.cost;
  return a.number < b.number;
}

}  // namespace

void ActiveBatch::Fill(Batch batch) {
  tasks_ = std::move(batch.tasks);
  cascade_ = FindCascade(tasks_);
  projections_ = FindProjections(tasks_);
  for (size_t i = 0; i < tasks_.size(); ++i) {
    auto& task = static_cast<EngineTask&>(*tasks_[i]);
    if (task.kind() == EngineTask::Kind::kAttention) {
      AppendItems(static_cast<AttentionTask&>(task),
                  cascade_.NumGroupedUnits(i), items_);
    } else if (static_cast<ProjectionTask&>(task).num_rows() == 0) {
      AppendEmptyItem(task, items_);
    }
  }
  for (const auto& group : cascade_.groups) AppendGroup(group, items_);
  for (const auto& unit : projections_.units) AppendProjection(unit, items_);
  for (size_t i = 0; i < items_.size(); ++i) items_[i].number = i;
  // Not stable_sort, which allocates.
  std::sort(items_.begin(), items_.end(), RunsBefore);
  next_ = 0;
}

void ActiveBatch::Clear() {
  items_.clear();
  if (items_.capacity() > kKeptItems) items_.shrink_to_fit();
  cascade_ = Cascade();
  projections_ = ProjectionBatch();
  tasks_.clear();
}

const WorkItem* ActiveBatch::Claim() {
  const size_t index = next_.fetch_add(1, std::memory_order_relaxed);
  return index < items_.size() ? &items_[index] : nullptr;
}

bool ActiveBatch::HasUnclaimed() const {
  return next_.load(std::memory_order_relaxed) < items_.size();
}

}  // namespace attn
