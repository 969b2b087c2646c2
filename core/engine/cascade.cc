#include "core/engine/cascade.h"

#include <algorithm>
#include <cstddef>
#include <map>

#include "absl/container/inlined_vector.h"
#include "core/attention/decode_kernel.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

// Folded rows of a group: beyond, reading is cheap beside computing, and the
// rows' state leaves the cache.
constexpr int64_t kMaxGroupRows = 64;

using Indices = absl::InlinedVector<size_t, 16>;

class Finder {
 public:
  explicit Finder(absl::Span<const TaskPtr> tasks) : tasks_(tasks) {}

  // Split after split, while there are tasks that shared all before it.
  Cascade Find() {
    Indices open;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      if (IsAttention(i) && Of(i).num_splits() > 1) open.push_back(i);
    }
    if (open.size() < 2) return {};
    cascade_.num_grouped_units.resize(tasks_.size());
    for (int64_t split = 0; open.size() > 1; ++split) {
      open = GroupSplit(split, open);
    }
    return std::move(cascade_);
  }

 private:
  bool IsAttention(size_t index) const {
    return static_cast<EngineTask&>(*tasks_[index]).kind() ==
           EngineTask::Kind::kAttention;
  }

  AttentionTask& Of(size_t index) const {
    return static_cast<AttentionTask&>(*tasks_[index]);
  }

  // Returns the tasks that share the split with others.
  Indices GroupSplit(int64_t split, const Indices& open) {
    // By the first page, which is whose it is; in the order of the tasks.
    std::map<const std::byte*, Indices> sharers;
    for (const size_t i : open) {
      const auto pages = Of(i).PagesOfSplit(split);
      if (pages.empty()) continue;
      Indices& same = sharers[pages.front()];
      if (same.empty() || pages == Of(same.front()).PagesOfSplit(split)) {
        same.push_back(i);
      }
    }
    Indices grouped;
    for (const auto& [page, same] : sharers) {
      if (same.size() < 2) continue;
      AddGroups(split, same);
      grouped.insert(grouped.end(), same.begin(), same.end());
    }
    std::sort(grouped.begin(), grouped.end());
    return grouped;
  }

  // A group for each problem, or several where there are many rows.
  void AddGroups(int64_t split, const Indices& same) {
    const int64_t num_problems = Of(same.front()).num_problems();
    for (int64_t problem = 0; problem < num_problems; ++problem) {
      int64_t num_rows = kMaxGroupRows;
      for (const size_t i : same) {
        const int64_t rows = Of(i).num_rows();
        if (num_rows + rows > kMaxGroupRows) {
          cascade_.groups.emplace_back();
          num_rows = 0;
        }
        num_rows += rows;
        cascade_.groups.back().push_back(
            {&Of(i), split * num_problems + problem});
      }
    }
    for (const size_t i : same) cascade_.num_grouped_units[i] += num_problems;
  }

  const absl::Span<const TaskPtr> tasks_;
  Cascade cascade_;
};

}  // namespace

Cascade FindCascade(absl::Span<const TaskPtr> tasks) {
  return Finder(tasks).Find();
}

absl::Status RunGroup(absl::Span<const TaskUnit> units, ScratchArena& arena) {
  absl::InlinedVector<Problem, 16> problems;
  for (const TaskUnit& unit : units) {
    problems.push_back(unit.task->ProblemOf(unit.unit));
  }
  absl::InlinedVector<RowShare, 16> shares;
  for (const Problem& problem : problems) {
    shares.push_back({&problem, {0, problem.num_rows()}});
  }
  ATTN_RETURN_IF_ERROR(AttendDecode(shares, arena));
  for (const TaskUnit& unit : units) unit.task->UnitIsDone(unit.unit);
  return absl::OkStatus();
}

}  // namespace attn
