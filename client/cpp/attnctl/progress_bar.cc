#include "client/cpp/attnctl/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace attn::attnctl {
namespace {

constexpr int kBarColumns = 30;
constexpr absl::Duration kPeriod = absl::Milliseconds(200);

}  // namespace

std::string RenderProgress(const ProgressGoal& goal, absl::Duration elapsed,
                           uint64_t completed, uint64_t failed) {
  const auto answered = static_cast<double>(completed + failed);
  double part = absl::FDivDuration(elapsed, goal.duration);
  if (goal.requests > 0) {
    part = std::max(part, answered / static_cast<double>(goal.requests));
  }
  const auto filled =
      static_cast<int>(std::lround(std::clamp(part, 0.0, 1.0) * kBarColumns));
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return absl::StrFormat(
      "[%s%s] %.1f s, %d done, %d failed, %.1f/s", std::string(filled, '#'),
      std::string(kBarColumns - filled, ' '), seconds, completed, failed,
      seconds > 0 ? answered / seconds : 0.0);
}

ProgressBar::ProgressBar(const ProgressGoal& goal, const LoadRecord& record)
    : goal_(goal), record_(record) {
  if (isatty(STDERR_FILENO) == 1) {
    drawer_ = std::thread([this, start = absl::Now()] {
      while (!closed_.WaitForNotificationWithTimeout(kPeriod)) {
        Draw(start);
      }
    });
  }
}

ProgressBar::~ProgressBar() {
  closed_.Notify();
  if (drawer_.joinable()) {
    drawer_.join();
    std::fputs("\r\x1b[K", stderr);
  }
}

void ProgressBar::Draw(absl::Time start) {
  const std::string line = RenderProgress(
      goal_, absl::Now() - start, record_.completed(), record_.failed());
  std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
}

}  // namespace attn::attnctl
