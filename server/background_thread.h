// A thread for what takes seconds and must not hold up gRPC's: jobs run one
// after another, in the order in which they came.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace attn {

// Thread-safe.
class BackgroundThread {
 public:
  using Job = std::function<void()>;

  // Holds at most `max_waiting` jobs beside the one that runs.
  explicit BackgroundThread(size_t max_waiting);
  // Runs what was posted to its end.
  ~BackgroundThread();
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;

  // RESOURCE_EXHAUSTED / QUEUE_FULL when too many wait.
  absl::Status Post(Job job);

 private:
  void Run();

  const size_t max_waiting_;
  absl::Mutex mutex_;
  std::deque<Job> waiting_ ABSL_GUARDED_BY(mutex_);
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last: it uses what is above.
};

}  // namespace attn
