#include "tests/unit/client/fake_server.h"

#include <grpcpp/grpcpp.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "attn/v1/attention.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/unit/client/fake_layers.h"
#include "tests/unit/client/fake_sessions.h"

namespace attn::client {

class FakeServer::Impl : public attn::v1::AttentionService::Service,
                         public grpc::health::v1::Health::Service {
 public:
  explicit Impl(int port) {
    constexpr int kMaxBytes = 64 << 20;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port),
                             grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(kMaxBytes);
    builder.RegisterService(
        static_cast<attn::v1::AttentionService::Service*>(this));
    builder.RegisterService(
        static_cast<grpc::health::v1::Health::Service*>(this));
    builder.RegisterService(&sessions_);
    builder.RegisterService(&layers_);
    server_ = builder.BuildAndStart();
  }
  ~Impl() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Attend(grpc::ServerContext* context,
                      const attn::v1::AttendRequest* request,
                      attn::v1::AttendResponse* response) override {
    const FakeOutcome outcome = Next(*context, request->request_id());
    while (outcome.hang && !context->IsCancelled()) {
      const absl::MutexLock lock(&mutex_);
      const auto never = +[](bool*) { return false; };
      bool unused = false;
      mutex_.AwaitWithTimeout(absl::Condition(never, &unused),
                              absl::Milliseconds(5));
    }
    if (!outcome.pushback.empty()) {
      context->AddTrailingMetadata("grpc-retry-pushback-ms", outcome.pushback);
    }
    if (outcome.code != 0) {
      return {static_cast<grpc::StatusCode>(outcome.code), "as told",
              outcome.details};
    }
    return Serve(*request, *response);
  }

  grpc::Status AttendBatch(grpc::ServerContext* /*context*/,
                           const attn::v1::AttendBatchRequest* request,
                           attn::v1::AttendBatchResponse* response) override {
    for (const auto& item : request->requests()) {
      EchoOrFail(item, *response->add_results());
    }
    return grpc::Status::OK;
  }

  grpc::Status AttendStream(
      grpc::ServerContext* /*context*/,
      grpc::ServerReaderWriter<attn::v1::AttendResult, attn::v1::AttendRequest>*
          stream) override {
    attn::v1::AttendRequest request;
    while (stream->Read(&request)) {
      attn::v1::AttendResult result;
      EchoOrFail(request, result);
      stream->Write(result);
    }
    return grpc::Status::OK;
  }

  grpc::Status Check(grpc::ServerContext* /*context*/,
                     const grpc::health::v1::HealthCheckRequest* request,
                     grpc::health::v1::HealthCheckResponse* response) override {
    if (request->service() == "unknown") {
      return {grpc::StatusCode::NOT_FOUND, "no such service"};
    }
    response->set_status(grpc::health::v1::HealthCheckResponse::SERVING);
    return grpc::Status::OK;
  }

  grpc::Status Watch(grpc::ServerContext* /*context*/,
                     const grpc::health::v1::HealthCheckRequest* /*request*/,
                     grpc::ServerWriter<grpc::health::v1::HealthCheckResponse>*
                         writer) override {
    grpc::health::v1::HealthCheckResponse response;
    response.set_status(grpc::health::v1::HealthCheckResponse::SERVING);
    writer->Write(response);
    response.set_status(grpc::health::v1::HealthCheckResponse::NOT_SERVING);
    writer->Write(response);
    return grpc::Status::OK;
  }

 private:
  friend class FakeServer;

  // Appends to the session, if there is one, and echoes.
  grpc::Status Serve(const attn::v1::AttendRequest& request,
                     attn::v1::AttendResponse& response) {
    Echo(request, response);
    if (!request.has_session()) {
      return grpc::Status::OK;
    }
    uint64_t length = 0;
    const uint64_t tokens = request.has_key() ? request.key().shape(2) : 0;
    grpc::Status status = sessions_.Append(request.session(), tokens, length);
    response.set_session_length(length);
    return status;
  }

  static void Echo(const attn::v1::AttendRequest& request,
                   attn::v1::AttendResponse& response) {
    response.set_request_id(request.request_id());
    *response.mutable_output() = request.query();
    response.mutable_timing()->set_batch_size(1);
  }

  void EchoOrFail(const attn::v1::AttendRequest& request,
                  attn::v1::AttendResult& result) {
    if (request.request_id() == "bad") {
      result.mutable_status()->set_code(grpc::StatusCode::INVALID_ARGUMENT);
      result.mutable_status()->set_message("as told");
      result.mutable_response()->set_request_id("bad");
    } else {
      const grpc::Status status = Serve(request, *result.mutable_response());
      result.mutable_status()->set_code(status.error_code());
      result.mutable_status()->set_message(status.error_message());
    }
  }

  FakeOutcome Next(const grpc::ServerContext& context,
                   const std::string& request_id) {
    const absl::MutexLock lock(&mutex_);
    ++attend_calls_;
    request_ids_.push_back(request_id);
    const auto key = context.client_metadata().find("attn-session-id");
    if (key != context.client_metadata().end()) {
      session_keys_.emplace_back(key->second.data(), key->second.size());
    }
    if (outcomes_.empty()) {
      return {};
    }
    FakeOutcome outcome = outcomes_.front();
    outcomes_.pop_front();
    return outcome;
  }

  FakeSessions sessions_;
  FakeLayers layers_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  mutable absl::Mutex mutex_;  // Guards what follows.
  std::deque<FakeOutcome> outcomes_;
  int attend_calls_ = 0;
  std::vector<std::string> request_ids_;
  std::vector<std::string> session_keys_;
};

FakeServer::FakeServer(int port) : impl_(std::make_unique<Impl>(port)) {}
FakeServer::~FakeServer() = default;

int FakeServer::port() const { return impl_->port_; }

std::string FakeServer::address() const {
  return absl::StrCat("127.0.0.1:", impl_->port_);
}

void FakeServer::Expect(std::vector<FakeOutcome> outcomes) {
  const absl::MutexLock lock(&impl_->mutex_);
  impl_->outcomes_.assign(outcomes.begin(), outcomes.end());
}

int FakeServer::attend_calls() const {
  const absl::MutexLock lock(&impl_->mutex_);
  return impl_->attend_calls_;
}

std::vector<std::string> FakeServer::request_ids() const {
  const absl::MutexLock lock(&impl_->mutex_);
  return impl_->request_ids_;
}

std::vector<std::string> FakeServer::session_keys() const {
  const absl::MutexLock lock(&impl_->mutex_);
  return impl_->session_keys_;
}

void FakeServer::ExpectSessionCalls(std::vector<FakeOutcome> outcomes) {
  impl_->sessions_.calls().Expect(std::move(outcomes));
}

std::vector<std::string> FakeServer::session_calls() const {
  return impl_->sessions_.calls().made();
}

std::vector<std::string> FakeServer::session_ids() const {
  return impl_->sessions_.session_ids();
}

void FakeServer::ExpectLayerCalls(std::vector<FakeOutcome> outcomes) {
  impl_->layers_.calls().Expect(std::move(outcomes));
}

std::vector<std::string> FakeServer::layer_calls() const {
  return impl_->layers_.calls().made();
}

}  // namespace attn::client
