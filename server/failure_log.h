// Log lines for failed calls, few enough to read under any load: at most one
// line per failure class and interval; the next one says how many were left
// out. The metrics count every failure, the log only shows examples.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "server/log.h"

namespace attn {

// Thread-safe.
class FailureLog {
 public:
  // Borrows both, which must outlive it.
  FailureLog(const Log& log, const Clock& clock,
             Duration interval = std::chrono::seconds(1));

  // Writes a warning, or counts it as suppressed. `failure_class` is one of
  // few names of ours ("QUEUE_FULL", "INTERNAL"); beyond 64 of them all share
  // the class "other".
  void Report(std::string_view failure_class, std::string_view message,
              std::initializer_list<LogField> fields = {});

  // One line for each class that still has suppressed failures. Call before the
  // process ends, so that none are lost.
  void Flush();

 private:
  struct ClassState {
    TimePoint next_line{};
    int64_t num_suppressed = 0;
  };

  // Whether a line may be written now; then `num_suppressed` says how many
  // were left out before it. Turns one class too many into "other".
  bool MayWrite(std::string_view& failure_class, int64_t& num_suppressed);

  const Log& log_;
  const Clock& clock_;
  const Duration interval_;

  absl::Mutex mutex_;
  std::map<std::string, ClassState, std::less<>> states_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
