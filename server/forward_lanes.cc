#include "server/forward_lanes.h"

#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attn {

// Thread-safe. Owned by the callback of the job that runs.
class ForwardLanes::Lane : public std::enable_shared_from_this<Lane> {
 public:
  void Add(Entry entry) {
    absl::MutexLock lock(&mutex_);
    waiting_.push_back(std::move(entry));
  }

  // Lets the lane go on once the entry's job is done.
  Entry Chained(Entry entry) {
    entry.submission.done =
        [self = shared_from_this(),
         done = std::move(entry.submission.done)](ForwardJob& job) {
          done(job);
          self->Continue();
        };
    return entry;
  }

 private:
  // A job that is cancelled ends within its own submission, which is a loop
  // here, not 4096 calls deep.
  void Continue() {
    {
      absl::MutexLock lock(&mutex_);
      ++num_due_;
      if (num_due_ > 1) return;
    }
    do {
      SubmitNext();
    } while (HasMore());
  }

  bool HasMore() {
    absl::MutexLock lock(&mutex_);
    return --num_due_ > 0;
  }

  void SubmitNext() {
    Entry entry;
    {
      absl::MutexLock lock(&mutex_);
      if (waiting_.empty()) return;
      entry = std::move(waiting_.front());
      waiting_.pop_front();
    }
    entry = Chained(std::move(entry));
    SubmitForward(entry.submission.job, std::move(entry.submission.done));
    entry.flow->Submitted(entry.submission.job);
  }

  absl::Mutex mutex_;
  std::deque<Entry> waiting_ ABSL_GUARDED_BY(mutex_);
  // Jobs that are done and whose successor is not submitted yet.
  int num_due_ ABSL_GUARDED_BY(mutex_) = 0;
};

void ForwardLanes::Add(std::shared_ptr<RequestFlow> flow,
                       const SessionPtr& session,
                       ForwardSubmission submission) {
  Entry entry{.flow = std::move(flow), .submission = std::move(submission)};
  if (session == nullptr) {
    front_.push_back(std::move(entry));
    return;
  }
  std::shared_ptr<Lane>& lane = lanes_[session.get()];
  if (lane != nullptr) return lane->Add(std::move(entry));
  lane = std::make_shared<Lane>();
  front_.push_back(lane->Chained(std::move(entry)));
}

void ForwardLanes::Submit() {
  std::vector<ForwardSubmission> submissions;
  for (Entry& entry : front_) {
    submissions.push_back({.job = entry.submission.job,
                           .done = std::move(entry.submission.done)});
  }
  SubmitForwardTogether(std::move(submissions));
  for (const Entry& entry : front_) {
    entry.flow->Submitted(entry.submission.job);
  }
}

}  // namespace attn
