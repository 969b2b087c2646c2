#include "server/health_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "server/rpc_recorder.h"

namespace attn {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One open Watch stream. Its state is guarded by the service's mutex:
//
// 1. At most one write is under way; it was started by Act(kWrite) and ends in
//    OnWriteDone.
// 2. Finish is called once, by whoever got kFinish from NextLocked, and never
//    while a write is under way. gRPC calls OnDone only after that.
// 3. So whoever got an action from NextLocked may act after it has let the
//    mutex go: nobody else can act on this stream, and it lives until OnDone.
class HealthWatch final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  enum class Action { kNone, kWrite, kFinish };

  HealthWatch(HealthService& service, std::string name)
      : service_(service),
        name_(std::move(name)),
        recorder_(service.metrics_, RpcMethod::kHealthWatch, service.clock_) {}

  // Registers the stream and sends the first status.
  void Open() {
    Action action;
    {
      absl::MutexLock lock(&service_.mutex_);
      number_ = service_.next_watch_++;
      service_.watches_.emplace(number_, this);
      action = NextLocked();
    }
    Act(action);
  }

  void AssertLocked() const ABSL_ASSERT_EXCLUSIVE_LOCK(service_.mutex_) {
    service_.mutex_.AssertHeld();
  }

  // What the stream is to do now; the caller passes it to Act without the lock.
  Action NextLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(service_.mutex_) {
    if (write_under_way_ || finished_) return Action::kNone;
    const auto status = service_.StatusLocked(name_);
    if (!is_broken_ && last_sent_ != status) {
      last_sent_ = status;
      response_.set_status(status);
      write_under_way_ = true;
      return Action::kWrite;
    }
    if (!is_broken_ && !service_.watches_ended_) return Action::kNone;
    finished_ = true;
    if (is_broken_) last_words_ = grpc::Status::CANCELLED;
    return Action::kFinish;
  }

  void Act(Action action) {
    if (action == Action::kWrite) StartWrite(&response_);
    if (action != Action::kFinish) return;
    recorder_.Finish(last_words_.error_code());
    Finish(last_words_);
  }

  void OnWriteDone(bool ok) override {
    Action action;
    {
      absl::MutexLock lock(&service_.mutex_);
      write_under_way_ = false;
      is_broken_ = is_broken_ || !ok;
      action = NextLocked();
    }
    Act(action);
  }

  void OnCancel() override {
    Action action;
    {
      absl::MutexLock lock(&service_.mutex_);
      is_broken_ = true;
      action = NextLocked();
    }
    Act(action);
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&service_.mutex_);
      service_.watches_.erase(number_);
    }
    delete this;
  }

 private:
  HealthService& service_;
  const std::string name_;
  RpcRecorder recorder_;

  uint64_t number_ ABSL_GUARDED_BY(service_.mutex_) = 0;
  std::optional<HealthService::ServingStatus> last_sent_
      ABSL_GUARDED_BY(service_.mutex_);
  bool write_under_way_ ABSL_GUARDED_BY(service_.mutex_) = false;
  bool is_broken_ ABSL_GUARDED_BY(service_.mutex_) = false;  // Client gone.
  bool finished_ ABSL_GUARDED_BY(service_.mutex_) = false;

  // Belongs to whoever acts (3).
  HealthCheckResponse response_;
  grpc::Status last_words_{grpc::StatusCode::UNAVAILABLE,
                           "the server is shutting down"};
};

namespace {

constexpr std::string_view kLiveness = "liveness";
constexpr std::string_view kFollowers[] = {"",
                                           "readiness",
                                           "attn.v1.AttentionService",
                                           "attn.v1.SessionService",
                                           "attn.v1.LayerService",
                                           "inference.GRPCInferenceService"};

}  // namespace

HealthService::HealthService(PrometheusMetrics& metrics, const Clock& clock)
    : metrics_(metrics), clock_(clock) {}

HealthService::~HealthService() {
  absl::MutexLock lock(&mutex_);
  ATTN_CHECK(watches_.empty());
}

HealthService::ServingStatus HealthService::StatusLocked(
    std::string_view service) const {
  if (service == kLiveness) return HealthCheckResponse::SERVING;
  for (const std::string_view follower : kFollowers) {
    if (service != follower) continue;
    return serving_ ? HealthCheckResponse::SERVING
                    : HealthCheckResponse::NOT_SERVING;
  }
  return HealthCheckResponse::SERVICE_UNKNOWN;
}

void HealthService::AdvanceAll() {
  std::vector<std::pair<HealthWatch*, HealthWatch::Action>> actions;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [number, watch] : watches_) {
      // The same mutex by another name, for the thread-safety analysis.
      watch->AssertLocked();
      actions.emplace_back(watch, watch->NextLocked());
    }
  }
  for (const auto& [watch, action] : actions) {
    if (action != HealthWatch::Action::kNone) watch->Act(action);
  }
}

void HealthService::SetServing(bool serving) {
  {
    absl::MutexLock lock(&mutex_);
    serving_ = serving;
  }
  AdvanceAll();
}

void HealthService::EndWatches() {
  {
    absl::MutexLock lock(&mutex_);
    watches_ended_ = true;
  }
  AdvanceAll();
}

grpc::ServerUnaryReactor* HealthService::Check(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request,
    HealthCheckResponse* response) {
  RpcRecorder recorder(metrics_, RpcMethod::kHealthCheck, clock_);
  {
    absl::MutexLock lock(&mutex_);
    response->set_status(StatusLocked(request->service()));
  }
  grpc::Status status;
  if (response->status() == HealthCheckResponse::SERVICE_UNKNOWN) {
    status = {grpc::StatusCode::NOT_FOUND, "this server has no such service"};
  }
  recorder.Finish(status.error_code());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/,
    const HealthCheckRequest* request) {
  auto* watch = new HealthWatch(*this, request->service());
  watch->Open();
  return watch;
}

}  // namespace attn
