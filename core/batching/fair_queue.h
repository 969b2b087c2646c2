// The queued tasks of all tenants, and whose turn it is. The scheduler's store.
//
// Between tenants: start-time fair queueing (Goyal, Vin, Cheng 1996). A tenant
// with queued tasks has a virtual time; the earliest has its turn, and a task
// of cost c that is taken moves its tenant on by c / weight.
//   1. While two tenants both have queued tasks, what was taken of each,
//      divided by its weight, differs by no more than the largest task of one
//      and the largest of the other, each divided by its weight.
//      (FairQueueModelTest)
//   2. Who comes from having nothing queued starts at the virtual time of the
//      task taken last, or at where it was if that is later: it is owed nothing
//      for the time that it did not use, and a newcomer with one small task
//      waits for no one's thousand.
//   3. An empty queue ends all accounts.
//   4. Expired and removed tasks cost their tenant nothing.
//
// Within a tenant: a task's rank is the time it was enqueued plus a head start
// that depends on its priority, earliest first. Waiting improves a task's rank
// against newcomers, so nothing starves: a LOW task is overtaken only by tasks
// that come within kLowDelay of it. With one tenant that is all there is.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "core/batching/task.h"

namespace attn {

// Thread-compatible: the scheduler guards it.
class FairQueue {
 public:
  static constexpr Duration kNormalDelay = std::chrono::milliseconds(100);
  static constexpr Duration kLowDelay = std::chrono::milliseconds(1100);

  // REQUIRES: it is in no queue.
  void Add(TaskPtr task, TimePoint now);
  // False if it is not queued (any more).
  bool Remove(const TaskPtr& task);

  // The task whose turn it is; null if there is none.
  const Task* Next();
  // Takes that one. REQUIRES, both: Next() is not null.
  TaskPtr TakeNext();
  // The same, and its tenant is charged nothing.
  TaskPtr DropNext();

  // When the first of those that are queued was enqueued.
  std::optional<TimePoint> oldest() const;
  int64_t size() const { return size_; }

 private:
  static constexpr size_t kNumPriorities = 3;
  using Queue = std::list<TaskPtr>;

  // A tenant's tasks.
  struct Lane {
    // The queue whose front ranks first; null if all are empty.
    Queue* Next();

    // One queue a priority, each in order of arrival; kHigh first.
    std::array<Queue, kNumPriorities> queues;
    double virtual_time = 0;
    // Among lanes at one virtual time who got there first goes first.
    int64_t turn = 0;
    bool is_waiting = false;  // In waiting_.
  };

  static bool GoesAfter(const Lane* a, const Lane* b);

  Lane& LaneOf(const Task& task);
  // The lane that Next() is from. REQUIRES: there is a task.
  Lane& NextLane();
  void StartWaiting(Lane& lane);
  TaskPtr Take(Queue& queue, Queue::iterator place);
  void EndAccounts();

  // By the tenant's number; null where none had a task yet.
  std::vector<std::unique_ptr<Lane>> lanes_;
  // A heap whose front goes first. Has every lane with tasks, and perhaps some
  // whose tasks were all removed.
  std::vector<Lane*> waiting_;
  Queue spare_;  // Nodes to reuse.
  int64_t size_ = 0;
  int64_t num_turns_ = 0;
  double virtual_time_ = 0;  // Of the task taken last.
  double latest_ = 0;        // The most that a lane has reached.
};

}  // namespace attn
