#include "core/batching/admission.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
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

// "tenant a"; no tenant without a name has a share.
std::string Shown(const Tenant& tenant) {
  return absl::StrCat("tenant ", tenant.name());
}

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
  std::swap(tenant_, other.tenant_);
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
  Load& load = LoadOf(task.tenant);
  ATTN_RETURN_IF_ERROR(CheckDeadline(task, load, now));
  ATTN_RETURN_IF_ERROR(CheckRoom(task, load));
  ++queued_tasks_;
  ++admitted_tasks_;
  queued_bytes_ += task.bytes;
  bytes_ += task.bytes;
  pending_cost_ += task.cost;
  ++load.queued_tasks;
  ++load.admitted_tasks;
  load.bytes += task.bytes;
  load.queued_cost += task.cost;
  load.pending_cost += task.cost;
  if (task.tenant != nullptr) task.tenant->TaskAdmitted();
  Publish(task.tenant, load);
  AdmissionTicket ticket;
  ticket.admission_ = this;
  ticket.tenant_ = task.tenant;
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

Admission::Load& Admission::LoadOf(const Tenant* tenant) {
  const auto number =
      tenant == nullptr ? 0 : static_cast<size_t>(tenant->number());
  if (number >= loads_.size()) loads_.resize(number + 1);
  if (tenant != nullptr) loads_[number].weight = tenant->limits().weight;
  return loads_[number];
}

// While this tenant's queued work and `cost` are done, another one of weight w
// gets w / weight times as much done, or all that it has. Nothing else is
// queued where there is one tenant.
double Admission::CostBehind(const Load& load, double cost) const {
  const double own = (load.queued_cost + cost) / load.weight;
  double behind = 0;
  for (const Load& other : loads_) {
    if (&other == &load) continue;
    behind += std::max(0.0, other.queued_cost - own * other.weight);
  }
  return behind;
}

double Admission::EstimatedSeconds(double cost) const {
  if (recent_cost_ == 0) return 0;
  return cost * recent_seconds_ / (recent_cost_ * limits_.num_workers);
}

absl::Status Admission::CheckDeadline(const TaskFacts& task, const Load& load,
                                      TimePoint now) const {
  if (task.deadline == kNoDeadline) return absl::OkStatus();
  if (task.deadline <= now) {
    return MakeError(absl::StatusCode::kDeadlineExceeded,
                     Reason::kDeadlineUnreachable,
                     "the deadline passed on arrival");
  }
  if (admitted_tasks_ == 0) return absl::OkStatus();
  const double left = ToSeconds(task.deadline - now);
  double needed = EstimatedSeconds(pending_cost_ + task.cost);
  if (left >= needed * kDeadlineMargin) return absl::OkStatus();
  needed -= EstimatedSeconds(CostBehind(load, task.cost));
  if (left >= needed * kDeadlineMargin) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kDeadlineExceeded, Reason::kDeadlineUnreachable,
      absl::StrFormat("the deadline cannot be met for sure: %.1f ms are left, "
                      "%.1f ms are wanted (%.1f times the estimate)",
                      left * 1e3, needed * kDeadlineMargin * 1e3,
                      kDeadlineMargin));
}

// What is the tenant's own fault is said first.
absl::Status Admission::CheckShare(const TaskFacts& task,
                                   const Load& load) const {
  if (task.tenant == nullptr || load.admitted_tasks == 0) {
    return absl::OkStatus();
  }
  const double share = task.tenant->limits().queue_share;
  if (share == 0) return absl::OkStatus();
  const double wait = EstimatedSeconds(load.pending_cost);
  const Duration retry_after = std::max(kShortestRetry, FromSeconds(wait / 2));
  const auto of = [share](int64_t max) {
    return static_cast<int64_t>(share * static_cast<double>(max));
  };
  const int64_t max_tasks = std::max<int64_t>(1, of(limits_.max_queue_tasks));
  if (load.queued_tasks >= max_tasks) {
    return QueueFull(
        absl::StrFormat("%s has %d tasks in the queue and its share takes no "
                        "more than %d",
                        Shown(*task.tenant), load.queued_tasks, max_tasks),
        retry_after);
  }
  const int64_t max_bytes = of(limits_.max_queue_bytes);
  if (load.bytes + task.bytes > max_bytes) {
    return QueueFull(
        absl::StrFormat("%d bytes do not fit beside the %d that %s has in the "
                        "queue, and its share takes no more than %d",
                        task.bytes, load.bytes, Shown(*task.tenant), max_bytes),
        retry_after);
  }
  const double max_wait = share * ToSeconds(limits_.max_queue_wait);
  if (wait > max_wait) {
    return QueueFull(
        absl::StrFormat("what %s has queued would take about %.1f s and its "
                        "share is no more than %.1f s",
                        Shown(*task.tenant), wait, max_wait),
        retry_after);
  }
  return absl::OkStatus();
}

absl::Status Admission::CheckRoom(const TaskFacts& task,
                                  const Load& load) const {
  if (admitted_tasks_ == 0) return absl::OkStatus();
  if (absl::Status status = CheckShare(task, load); !status.ok()) {
    task.tenant->TaskRefused();
    return status;
  }
  double wait = EstimatedSeconds(pending_cost_);
  if (wait > ToSeconds(limits_.max_queue_wait)) {
    wait -= EstimatedSeconds(CostBehind(load, 0));
  }
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
  if (std::exchange(ticket.was_started_, true)) return;
  Load& load = LoadOf(ticket.tenant_);
  LeaveQueue(ticket, load);
  Publish(ticket.tenant_, load);
}

void Admission::LeaveQueue(const AdmissionTicket& ticket, Load& load) {
  --queued_tasks_;
  queued_bytes_ -= ticket.bytes_;
  --load.queued_tasks;
  // Rounding must not leave a ghost of work, here and below.
  load.queued_cost = load.queued_tasks == 0
                         ? 0
                         : std::max(0.0, load.queued_cost - ticket.left_cost_);
}

void Admission::WorkedOff(AdmissionTicket& ticket, double cost, Duration time) {
  absl::MutexLock lock(&mutex_);
  // A job's steps may cost more than was estimated.
  const double pending = std::min(cost, ticket.left_cost_);
  ticket.left_cost_ -= pending;
  pending_cost_ = std::max(0.0, pending_cost_ - pending);
  Load& load = LoadOf(ticket.tenant_);
  load.pending_cost = std::max(0.0, load.pending_cost - pending);
  const double seconds = ToSeconds(time);
  const double kept = kMemorySeconds / (kMemorySeconds + seconds);
  recent_cost_ = recent_cost_ * kept + cost;
  recent_seconds_ = recent_seconds_ * kept + seconds;
}

void Admission::Leave(const AdmissionTicket& ticket) {
  absl::MutexLock lock(&mutex_);
  Load& load = LoadOf(ticket.tenant_);
  if (!ticket.was_started_) LeaveQueue(ticket, load);
  --admitted_tasks_;
  --load.admitted_tasks;
  bytes_ -= ticket.bytes_;
  load.bytes -= ticket.bytes_;
  const auto less = [&ticket](double cost, int64_t tasks_left) {
    return tasks_left == 0 ? 0 : std::max(0.0, cost - ticket.left_cost_);
  };
  pending_cost_ = less(pending_cost_, admitted_tasks_);
  load.pending_cost = less(load.pending_cost, load.admitted_tasks);
  Publish(ticket.tenant_, load);
}

void Admission::StartDraining() {
  absl::MutexLock lock(&mutex_);
  is_draining_ = true;
}

void Admission::Publish(Tenant* tenant, const Load& load) const {
  metrics_.QueueChanged(queued_tasks_, queued_bytes_);
  metrics_.InflightBytesChanged(bytes_);
  if (tenant != nullptr) tenant->QueueChanged(load.queued_tasks, load.bytes);
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
