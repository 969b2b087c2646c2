#include "client/cpp/server_rotation.h"

namespace attn::client {

size_t ServerRotation::Next(absl::Time now) {
  const absl::MutexLock lock(&mutex_);
  const size_t first = next_;
  next_ = (next_ + 1) % count_;
  for (size_t i = 0; i < count_; ++i) {
    const size_t server = (first + i) % count_;
    if (away_until_[server] <= now) {
      next_ = (server + 1) % count_;
      return server;
    }
  }
  return first;
}

void ServerRotation::MarkAway(size_t server, absl::Time now) {
  const absl::MutexLock lock(&mutex_);
  away_until_[server] = now + pause_;
}

}  // namespace attn::client
