// Which server a call without a session goes to: each in turn, those passed
// over that were away a moment ago. Internal to the client.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attn::client {

// Thread-safe.
class ServerRotation {
 public:
  // A server that was away is passed over for `pause`; then one call tries it.
  // REQUIRES: count > 0.
  ServerRotation(size_t count, absl::Duration pause)
      : count_(count),
        pause_(pause),
        away_until_(count, absl::InfinitePast()) {}

  // The next one that is not away; where all are, the next one.
  size_t Next(absl::Time now);

  // The server did not take a call. Nobody else tries it before the pause ends.
  void MarkAway(size_t server, absl::Time now);

 private:
  const size_t count_;
  const absl::Duration pause_;
  absl::Mutex mutex_;
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<absl::Time> away_until_ ABSL_GUARDED_BY(mutex_);  // [count_]
};

}  // namespace attn::client
