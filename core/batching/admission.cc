#include "core/batching/admission.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

// Work counts for less the more came after it: half a second of it outweighs
// all that was before. Slow enough to ride over one odd item, fast enough to
// follow a change of load within a second.
constexpr double kMemorySeconds = 0.5;

// How many times the estimated time must fit before a deadline. Under lasting
// overload the queue grows until this refuses; what waits then must still reach
// its client in time, although estimates are good to some ten percent only and
// the way back takes its time, too. At 0.8 half of the work was for nobody.
constexpr double kDeadlineMargin = 1.5;

constexpr Duration kShortestRetry = std::chrono::milliseconds(1);

Duration FromSeconds(double seconds) {
  constexpr double kLongest = 3600;
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(seconds, kLongest)));
}

}  // namespace

Admission::Admission(const AdmissionLimits& limits, EngineMetrics& metrics)
    : limits_(limits), metrics_(metrics) {}

AdmissionTicket::AdmissionTicket(AdmissionTicket&& other) noexcept {
  *this = std::move(other);
}

AdmissionTicket& AdmissionTicket::operator=(AdmissionTicket&& other) noexcept {
  std::swap(admission_, other.admission_);
  std::swap(bytes_, other.bytes_);
  std::swap(was_started_, other.was_started_);
  std::swap(left_cost_, other.left_cost_);
  return *this;
}

AdmissionTicket::~AdmissionTicket() {
  if (admission_ != nullptr) admission_->Leave(*this);
}

absl::StatusOr<AdmissionTicket> Admission::Admit(const TaskFacts& task,
                                                 TimePoint now) {
  absl::MutexLock lock(&mutex_);
  ATTN_RETURN_IF_ERROR(CheckNotDraining());
  ATTN_RETURN_IF_ERROR(CheckDeadline(task, now));
  ATTN_RETURN_IF_ERROR(CheckRoom(task));
  ++queued_tasks_;
  ++admitted_tasks_;
  queued_bytes_ += task.bytes;
  bytes_ += task.bytes;
  pending_cost_ += task.cost;
  Publish();
  AdmissionTicket ticket;
  ticket.admission_ = this;
  ticket.bytes_ = task.bytes;
  ticket.left_cost_ = task.cost;
  return ticket;
}

absl::Status Admission::CheckOpen() const {
  absl::MutexLock lock(&mutex_);
  return CheckNotDraining();
}

absl::Status Admission::CheckNotDraining() const {
  if (!is_draining_) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, Reason::kDraining,
                   "the server is shutting down");
}

double Admission::EstimatedSeconds(double cost) const {
  if (recent_cost_ == 0) return 0;
  return cost * recent_seconds_ / (recent_cost_ * limits_.num_workers);
}

absl::Status Admission::CheckDeadline(const TaskFacts& task,
                                      TimePoint now) const {
  if (task.deadline == kNoDeadline) return absl::OkStatus();
  if (task.deadline <= now) {
    return MakeError(absl::StatusCode::kDeadlineExceeded,
                     Reason::kDeadlineUnreachable,
                     "the deadline passed on arrival");
  }
  if (admitted_tasks_ == 0) return absl::OkStatus();
  const double left = ToSeconds(task.deadline - now);
  const double needed = EstimatedSeconds(pending_cost_ + task.cost);
  if (left >= needed * kDeadlineMargin) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kDeadlineExceeded, Reason::kDeadlineUnreachable,
      absl::StrFormat("the deadline cannot be met for sure: %.1f ms are left, "
                      "%.1f ms are wanted (%.1f times the estimate)",
                      left * 1e3, needed * kDeadlineMargin * 1e3,
                      kDeadlineMargin));
}

absl::Status Admission::CheckRoom(const TaskFacts& task) const {
  if (admitted_tasks_ == 0) return absl::OkStatus();
  const double wait = EstimatedSeconds(pending_cost_);
  const Duration retry_after = std::max(kShortestRetry, FromSeconds(wait / 2));
  if (queued_tasks_ >= limits_.max_queue_tasks) {
    return QueueFull(
        absl::StrFormat("the queue holds %d tasks and takes no more than %d",
                        queued_tasks_, limits_.max_queue_tasks),
        retry_after);
  }
  if (bytes_ + task.bytes > limits_.max_queue_bytes) {
    return QueueFull(
        absl::StrFormat("%d bytes do not fit beside the %d in the queue, which "
                        "takes no more than %d",
                        task.bytes, bytes_, limits_.max_queue_bytes),
        retry_after);
  }
  if (wait > ToSeconds(limits_.max_queue_wait)) {
    return QueueFull(
        absl::StrFormat("the wait would be about %.1f s and may be no more "
                        "than %.1f s",
                        wait, ToSeconds(limits_.max_queue_wait)),
        retry_after);
  }
  return absl::OkStatus();
}

void Admission::Started(AdmissionTicket& ticket) {
  absl::MutexLock lock(&mutex_);
  ticket.was_started_ = true;
  --queued_tasks_;
  queued_bytes_ -= ticket.bytes_;
  Publish();
}

void Admission::WorkedOff(AdmissionTicket& ticket, double cost, Duration time) {
  absl::MutexLock lock(&mutex_);
  ticket.left_cost_ -= cost;
  pending_cost_ = std::max(0.0, pending_cost_ - cost);
  const double seconds = ToSeconds(time);
  const double kept = kMemorySeconds / (kMemorySeconds + seconds);
  recent_cost_ = recent_cost_ * kept + cost;
  recent_seconds_ = recent_seconds_ * kept + seconds;
}

void Admission::Leave(const AdmissionTicket& ticket) {
  absl::MutexLock lock(&mutex_);
  if (!ticket.was_started_) {
    --queued_tasks_;
    queued_bytes_ -= ticket.bytes_;
  }
  --admitted_tasks_;
  bytes_ -= ticket.bytes_;
  // Rounding must not leave a ghost of work in an empty house.
  pending_cost_ = admitted_tasks_ == 0
                      ? 0
                      : std::max(0.0, pending_cost_ - ticket.left_cost_);
  Publish();
}

void Admission::StartDraining() {
  absl::MutexLock lock(&mutex_);
  is_draining_ = true;
}

void Admission::Publish() const {
  metrics_.QueueChanged(queued_tasks_, queued_bytes_);
  metrics_.InflightBytesChanged(bytes_);
}

int64_t Admission::queued_tasks() const {
  absl::MutexLock lock(&mutex_);
  return queued_tasks_;
}

int64_t Admission::bytes() const {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

Duration Admission::EstimatedWait() const {
  absl::MutexLock lock(&mutex_);
  return FromSeconds(EstimatedSeconds(pending_cost_));
}

}  // namespace attn
