#include "server/forward_lanes.h"

#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attn {

// What waits, by session. Thread-safe.
class ForwardLanes::Queues : public std::enable_shared_from_this<Queues> {
 public:
  // The entry if it is at the front of its lane; nothing: it waits.
  std::optional<Entry> TakeIn(const Session* session, Entry entry) {
    {
      absl::MutexLock lock(&mutex_);
      const auto [lane, is_new] = lanes_.try_emplace(session);
      if (!is_new) {
        lane->second.waiting.push_back(std::move(entry));
        return std::nullopt;
      }
    }
    return Chained(session, std::move(entry));
  }

 private:
  // There as long as a job of it is under way. The session may go before; one
  // that gets its address then only waits for the last callback.
  struct Lane {
    std::deque<Entry> waiting;
    // Jobs that are done and whose successor is not submitted yet.
    int num_due = 0;
  };

  // Lets the lane go on once the entry's job is done.
  Entry Chained(const Session* session, Entry entry) {
    entry.submission.done =
        [self = shared_from_this(), session,
         done = std::move(entry.submission.done)](ForwardJob& job) {
          done(job);
          self->Continue(session);
        };
    return entry;
  }

  // A job that is cancelled ends within its own submission, which is a loop
  // here, not 4096 calls deep.
  void Continue(const Session* session) {
    if (!IsFirstDue(session)) return;
    do {
      std::optional<Entry> entry = Next(session);
      if (!entry.has_value()) return;
      SubmitForward(entry->submission.job, std::move(entry->submission.done));
      entry->flow->Submitted(entry->submission.job);
    } while (HasMore(session));
  }

  bool IsFirstDue(const Session* session) {
    absl::MutexLock lock(&mutex_);
    return ++lanes_.at(session).num_due == 1;
  }

  bool HasMore(const Session* session) {
    absl::MutexLock lock(&mutex_);
    return --lanes_.at(session).num_due > 0;
  }

  // Nothing: the lane has ended.
  std::optional<Entry> Next(const Session* session) {
    Entry entry;
    {
      absl::MutexLock lock(&mutex_);
      const auto lane = lanes_.find(session);
      std::deque<Entry>& waiting = lane->second.waiting;
      if (waiting.empty()) {
        lanes_.erase(lane);
        return std::nullopt;
      }
      entry = std::move(waiting.front());
      waiting.pop_front();
    }
    return Chained(session, std::move(entry));
  }

  absl::Mutex mutex_;
  std::map<const Session*, Lane> lanes_ ABSL_GUARDED_BY(mutex_);
};

ForwardLanes::ForwardLanes() : queues_(std::make_shared<Queues>()) {}

void ForwardLanes::Add(std::shared_ptr<RequestFlow> flow,
                       const SessionPtr& session,
                       ForwardSubmission submission) {
  std::optional<Entry> entry =
      Entry{.flow = std::move(flow), .submission = std::move(submission)};
  if (session != nullptr) {
    entry = queues_->TakeIn(session.get(), *std::move(entry));
  }
  if (entry.has_value()) front_.push_back(*std::move(entry));
}

void ForwardLanes::Submit() {
  std::vector<Entry> front = std::exchange(front_, {});
  std::vector<ForwardSubmission> submissions;
  submissions.reserve(front.size());
  for (Entry& entry : front) {
    submissions.push_back({.job = entry.submission.job,
                           .done = std::move(entry.submission.done)});
  }
  SubmitForwardTogether(std::move(submissions));
  for (const Entry& entry : front) {
    entry.flow->Submitted(entry.submission.job);
  }
}

}  // namespace attn
