// A line on stderr that says how far a bench is, five times a second, on a
// terminal alone.
#pragma once

#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/load_record.h"

namespace attn::attnctl {

// Where a bench ends, for the bar's length.
struct ProgressGoal {
  absl::Duration duration;
  uint64_t requests = 0;  // 0: by duration alone.
};

// "[#####     ] 2.1 s, 210 done, 0 failed, 100.0/s"
std::string RenderProgress(const ProgressGoal& goal, absl::Duration elapsed,
                           uint64_t completed, uint64_t failed);

// Draws from its making until its end. `record` must outlive it.
class ProgressBar {
 public:
  ProgressBar(const ProgressGoal& goal, const LoadRecord& record);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

 private:
  void Draw(absl::Time start);

  const ProgressGoal goal_;
  const LoadRecord& record_;
  absl::Notification closed_;
  std::thread drawer_;  // Not started where stderr is no terminal.
};

}  // namespace attn::attnctl
