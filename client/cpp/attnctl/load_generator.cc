#include "client/cpp/attnctl/load_generator.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace attn::attnctl {
namespace {

// Hands out request numbers. Thread-safe.
class IndexRange {
 public:
  explicit IndexRange(const LoadPlan& plan)
      : items_(plan.items_per_send),
        end_(plan.max_requests == 0 ? UINT64_MAX : plan.max_requests) {}

  // The next run [first, first + count); count 0 when spent.
  std::pair<uint64_t, uint64_t> Take() {
    const uint64_t first = next_.fetch_add(items_);
    return {first, first >= end_ ? 0 : std::min(items_, end_ - first)};
  }

 private:
  const uint64_t items_;
  const uint64_t end_;
  std::atomic<uint64_t> next_ = 0;
};

// Counts calls under way. Thread-safe.
class InFlightLimit {
 public:
  explicit InFlightLimit(uint64_t limit) : limit_(limit) {}

  void Enter() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &InFlightLimit::HasRoom));
    ++calls_;
  }
  void Leave() {
    const absl::MutexLock lock(&mutex_);
    --calls_;
  }
  void WaitUntilEmpty() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &InFlightLimit::IsEmpty));
  }

 private:
  bool HasRoom() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return calls_ < limit_;
  }
  bool IsEmpty() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return calls_ == 0;
  }

  const uint64_t limit_;
  absl::Mutex mutex_;
  uint64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Sends the run of requests and records the answer; then calls `next`.
void SendRun(const LoadParts& parts, std::pair<uint64_t, uint64_t> run,
             absl::Time intended, std::function<void()> next) {
  std::vector<client::AttendRequest> requests;
  AnsweredSend answered;
  answered.first_index = run.first;
  for (uint64_t i = 0; i < run.second; ++i) {
    requests.push_back(parts.source.Make(run.first + i));
    answered.sent_bytes += ProblemSource::TensorBytes(requests.back());
  }
  parts.sender.Send(requests, [&record = parts.record, &clock = parts.clock,
                               answered, intended, next = std::move(next)](
                                  const std::vector<client::AttendResult>& r) {
    AnsweredSend send = answered;
    send.latency = clock.Now() - intended;
    send.results = &r;
    record.Add(send);
    next();
  });
}

void RunOneSlot(const LoadParts& parts, IndexRange& indices, absl::Time end) {
  while (!parts.clock.stopped() && parts.clock.Now() < end) {
    const auto run = indices.Take();
    if (run.second == 0) {
      return;
    }
    absl::Notification answered;
    SendRun(parts, run, parts.clock.Now(), [&answered] { answered.Notify(); });
    answered.WaitForNotification();
  }
}

}  // namespace

absl::Duration RunClosedLoop(const LoadPlan& plan, const LoadParts& parts) {
  const absl::Time start = parts.clock.Now();
  IndexRange indices(plan);
  std::vector<std::thread> slots;
  for (uint64_t i = 0; i < plan.concurrency; ++i) {
    slots.emplace_back([&parts, &indices, end = start + plan.duration] {
      RunOneSlot(parts, indices, end);
    });
  }
  for (std::thread& slot : slots) {
    slot.join();
  }
  return parts.clock.Now() - start;
}

absl::Duration RunOpenLoop(const LoadPlan& plan, LoadSchedule schedule,
                           const LoadParts& parts) {
  const absl::Time start = parts.clock.Now();
  IndexRange indices(plan);
  InFlightLimit in_flight(plan.max_in_flight);
  for (;;) {
    const absl::Duration offset = schedule.Next();
    if (offset >= plan.duration) {
      break;
    }
    parts.clock.SleepUntil(start + offset);
    const auto run = indices.Take();
    if (parts.clock.stopped() || run.second == 0) {
      break;
    }
    in_flight.Enter();
    SendRun(parts, run, start + offset, [&in_flight] { in_flight.Leave(); });
  }
  in_flight.WaitUntilEmpty();
  return parts.clock.Now() - start;
}

}  // namespace attn::attnctl
