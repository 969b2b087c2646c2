#include "client/cpp/client.h"

#include <utility>

#include "attn/v1/attention.pb.h"
#include "client/cpp/request_call.h"
#include "client/cpp/request_codec.h"
#include "client/cpp/response_codec.h"
#include "client/cpp/transport.h"
#include "client/cpp/unary_call.h"
#include "grpc/health/v1/health.pb.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

constexpr char kAttend[] = "/attn.v1.AttentionService/Attend";
constexpr char kAttendBatch[] = "/attn.v1.AttentionService/AttendBatch";
constexpr char kAttendStream[] = "/attn.v1.AttentionService/AttendStream";
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kHealthWatch[] = "/grpc.health.v1.Health/Watch";

WireMessage HealthRequest(const std::string& service) {
  grpc::health::v1::HealthCheckRequest message;
  message.set_service(service);
  WireMessage request;
  request.Append(message.SerializeAsString());
  return request;
}

Health HealthOf(grpc::health::v1::HealthCheckResponse& message) {
  return static_cast<Health>(message.status());
}

}  // namespace

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kServing:
      return "SERVING";
    case Health::kNotServing:
      return "NOT_SERVING";
    case Health::kServiceUnknown:
      return "SERVICE_UNKNOWN";
    case Health::kUnknown:
      break;
  }
  return "UNKNOWN";
}

CallHandle::CallHandle(std::weak_ptr<Cancellable> call)
    : call_(std::move(call)) {}

void CallHandle::Cancel() const {
  if (const std::shared_ptr<Cancellable> call = call_.lock()) {
    call->Cancel();
  }
}

absl::StatusOr<std::unique_ptr<Client>> Client::Create(
    const ClientOptions& options) {
  absl::StatusOr<std::unique_ptr<Transport>> transport =
      Transport::Create(options);
  if (!transport.ok()) {
    return transport.status();
  }
  return std::unique_ptr<Client>(
      new Client(*std::move(transport), options.default_deadline));
}

Client::Client(std::unique_ptr<Transport> transport,
               absl::Duration default_deadline)
    : default_deadline_(default_deadline), transport_(std::move(transport)) {}

Client::~Client() = default;

absl::StatusOr<AttendResponse> Client::Attend(const AttendRequest& request,
                                              const CallOptions& options) {
  return Await<AttendResponse>([&](AttendCallback callback) {
    AttendAsync(request, std::move(callback), options);
  });
}

CallHandle Client::AttendAsync(const AttendRequest& request,
                               AttendCallback callback,
                               const CallOptions& options) {
  return StartCall(
      *transport_,
      RequestCall(kAttend, request, Resolve(options, default_deadline_)),
      DecodeResponse<pb::AttendResponse>, std::move(callback));
}

absl::StatusOr<std::vector<AttendResult>> Client::AttendBatch(
    absl::Span<const AttendRequest> requests, const CallOptions& options) {
  return Await<std::vector<AttendResult>>([&](BatchCallback callback) {
    AttendBatchAsync(requests, std::move(callback), options);
  });
}

CallHandle Client::AttendBatchAsync(absl::Span<const AttendRequest> requests,
                                    BatchCallback callback,
                                    const CallOptions& options) {
  return StartCall(
      *transport_,
      BatchCall(kAttendBatch, requests, Resolve(options, default_deadline_)),
      DecodeResults<pb::AttendBatchResponse>, std::move(callback));
}

std::unique_ptr<AttendStream> Client::OpenStream(const CallOptions& options) {
  return std::make_unique<AttendStream>(transport_->OpenStream(
      kAttendStream, Resolve(options, absl::InfiniteDuration())));
}

absl::StatusOr<Health> Client::CheckHealth(const std::string& service,
                                           const CallOptions& options) {
  return BlockingCall(*transport_,
                      {kHealthCheck, HealthRequest(service),
                       Resolve(options, default_deadline_)},
                      HealthOf);
}

absl::Status Client::WatchHealth(const std::string& service,
                                 const std::function<bool(Health)>& on_change,
                                 const CallOptions& options) {
  const std::unique_ptr<ByteStream> stream = transport_->OpenStream(
      kHealthWatch, Resolve(options, absl::InfiniteDuration()));
  if (stream->Write(HealthRequest(service))) {
    stream->WritesDone();
  }
  grpc::health::v1::HealthCheckResponse message;
  while (stream->Read(message)) {
    if (!on_change(HealthOf(message))) {
      stream->Cancel();
      static_cast<void>(stream->Finish());
      return absl::OkStatus();
    }
  }
  return stream->Finish();
}

}  // namespace attn::client
