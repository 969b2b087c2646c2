// Frees idle sessions while nobody asks for them: a thread that calls
// SessionStore::Sweep now and then.
#pragma once

#include <thread>

#include "absl/synchronization/notification.h"
#include "core/base/clock.h"
#include "core/kv_cache/session_store.h"

namespace attn {

// Thread-safe. Borrows the store, which must outlive it.
class SessionSweeper {
 public:
  explicit SessionSweeper(SessionStore& store,
                          Duration interval = std::chrono::seconds(1));
  // Ends the thread.
  ~SessionSweeper();
  SessionSweeper(const SessionSweeper&) = delete;
  SessionSweeper& operator=(const SessionSweeper&) = delete;

 private:
  absl::Notification stop_;
  std::thread thread_;  // Last: it uses what is above.
};

}  // namespace attn
