#include "server/background_thread.h"

#include <chrono>
#include <utility>

#include "core/base/error.h"

namespace attn {

BackgroundThread::BackgroundThread(size_t max_waiting)
    : max_waiting_(max_waiting), thread_([this] { Run(); }) {}

BackgroundThread::~BackgroundThread() {
  {
    absl::MutexLock lock(&mutex_);
    is_ending_ = true;
  }
  thread_.join();
}

absl::Status BackgroundThread::Post(Job job) {
  absl::MutexLock lock(&mutex_);
  if (waiting_.size() >= max_waiting_) {
    return QueueFull("too many calls of this kind wait",
                     std::chrono::seconds(1));
  }
  waiting_.push_back(std::move(job));
  return absl::OkStatus();
}

void BackgroundThread::Run() {
  const auto has_news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return is_ending_ || !waiting_.empty();
  };
  for (;;) {
    Job job;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_news));
      if (waiting_.empty()) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    job();
  }
}

}  // namespace attn
