#include "core/batching/fair_queue.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace attn {
namespace {

size_t QueueIndex(Priority priority) {
  switch (priority) {
    case Priority::kHigh:
      return 0;
    case Priority::kLow:
      return 2;
    case Priority::kNormal:
    case Priority::kUnspecified:
      return 1;
  }
  return 1;
}

Duration HeadStart(size_t queue_index) {
  constexpr Duration kDelays[] = {Duration{}, FairQueue::kNormalDelay,
                                  FairQueue::kLowDelay};
  return kDelays[queue_index];
}

}  // namespace

FairQueue::Queue* FairQueue::Lane::Next() {
  Queue* next = nullptr;
  TimePoint best = TimePoint::max();
  for (size_t i = 0; i < kNumPriorities; ++i) {
    if (queues[i].empty()) continue;
    const TimePoint rank = queues[i].front()->enqueue_time() + HeadStart(i);
    if (next == nullptr || rank < best) {
      next = &queues[i];
      best = rank;
    }
  }
  return next;
}

bool FairQueue::GoesAfter(const Lane* a, const Lane* b) {
  if (a->virtual_time != b->virtual_time) {
    return a->virtual_time > b->virtual_time;
  }
  return a->turn > b->turn;
}

FairQueue::Lane& FairQueue::LaneOf(const Task& task) {
  const auto number = static_cast<size_t>(task.facts().tenant_number());
  if (number >= lanes_.size()) lanes_.resize(number + 1);
  if (lanes_[number] == nullptr) lanes_[number] = std::make_unique<Lane>();
  return *lanes_[number];
}

void FairQueue::StartWaiting(Lane& lane) {
  lane.turn = num_turns_++;
  lane.is_waiting = true;
  waiting_.push_back(&lane);
  std::push_heap(waiting_.begin(), waiting_.end(), GoesAfter);
}

void FairQueue::Add(TaskPtr task, TimePoint now) {
  ATTN_CHECK(!task->is_queued_);
  Lane& lane = LaneOf(*task);
  if (!lane.is_waiting) {
    lane.virtual_time = std::max(lane.virtual_time, virtual_time_);
    StartWaiting(lane);
  }
  Queue& queue = lane.queues[QueueIndex(task->facts().priority)];
  if (spare_.empty()) spare_.emplace_back();
  queue.splice(queue.end(), spare_, spare_.begin());
  const auto place = std::prev(queue.end());
  task->enqueue_time_ = now;
  task->is_queued_ = true;
  task->place_ = place;
  *place = std::move(task);
  ++size_;
}

TaskPtr FairQueue::Take(Queue& queue, Queue::iterator place) {
  TaskPtr task = std::move(*place);
  spare_.splice(spare_.end(), queue, place);
  task->is_queued_ = false;
  if (--size_ == 0) EndAccounts();
  return task;
}

void FairQueue::EndAccounts() {
  for (Lane* lane : waiting_) lane->is_waiting = false;
  waiting_.clear();
  virtual_time_ = latest_;
}

bool FairQueue::Remove(const TaskPtr& task) {
  if (!task->is_queued_) return false;
  Lane& lane = LaneOf(*task);
  Take(lane.queues[QueueIndex(task->facts().priority)], task->place_);
  return true;
}

FairQueue::Lane& FairQueue::NextLane() {
  // Lanes without tasks lost them by removal.
  while (waiting_.front()->Next() == nullptr) {
    waiting_.front()->is_waiting = false;
    std::pop_heap(waiting_.begin(), waiting_.end(), GoesAfter);
    waiting_.pop_back();
  }
  return *waiting_.front();
}

const Task* FairQueue::Next() {
  return size_ == 0 ? nullptr : NextLane().Next()->front().get();
}

TaskPtr FairQueue::TakeNext() {
  Lane& lane = NextLane();
  std::pop_heap(waiting_.begin(), waiting_.end(), GoesAfter);
  waiting_.pop_back();
  lane.is_waiting = false;
  Queue& queue = *lane.Next();
  const TaskFacts& facts = queue.front()->facts();
  virtual_time_ = lane.virtual_time;
  lane.virtual_time += facts.cost / facts.weight();
  latest_ = std::max(latest_, lane.virtual_time);
  TaskPtr task = Take(queue, queue.begin());
  if (lane.Next() != nullptr) StartWaiting(lane);
  return task;
}

TaskPtr FairQueue::DropNext() {
  Queue& queue = *NextLane().Next();
  return Take(queue, queue.begin());
}

std::optional<TimePoint> FairQueue::oldest() const {
  std::optional<TimePoint> oldest;
  for (const Lane* lane : waiting_) {
    for (const Queue& queue : lane->queues) {
      if (queue.empty()) continue;
      const TimePoint time = queue.front()->enqueue_time();
      oldest = oldest.has_value() ? std::min(*oldest, time) : time;
    }
  }
  return oldest;
}

}  // namespace attn
