// The client of attn.v1.AttentionService: one channel to one server, blocking
// and asynchronous calls with deadlines, retries and typed errors
// (error_details.h). Start here; request.h has what is sent, options.h how.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/cpp/attend_stream.h"
#include "client/cpp/options.h"
#include "client/cpp/request.h"

namespace attn::client {

class Cancellable;
class Transport;

// grpc.health.v1; the numbers are those of its ServingStatus.
enum class Health : int {
  kUnknown = 0,
  kServing = 1,
  kNotServing = 2,
  kServiceUnknown = 3,
};

// "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN", "UNKNOWN".
std::string_view HealthName(Health health);

// Cancels an asynchronous call. Thread-safe; copies refer to the same call; may
// outlive the call and the client.
class CallHandle {
 public:
  CallHandle() = default;
  explicit CallHandle(std::weak_ptr<Cancellable> call);

  // The callback still runs, with CANCELLED unless the call had ended. Without
  // effect when it has.
  void Cancel() const;

 private:
  std::weak_ptr<Cancellable> call_;
};

// Thread-safe. Calls never throw. Errors of every call, besides the server's
// own: DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE (no connection, retries
// spent), RESOURCE_EXHAUSTED (message larger than max_message_bytes), INTERNAL
// (a reply that does not parse).
class Client {
 public:
  using AttendCallback = std::function<void(absl::StatusOr<AttendResponse>)>;
  using BatchCallback =
      std::function<void(absl::StatusOr<std::vector<AttendResult>>)>;

  // Connects when first used. Errors: INVALID_ARGUMENT for options that make no
  // channel.
  static absl::StatusOr<std::unique_ptr<Client>> Create(
      const ClientOptions& options);

  // Cancels the calls that run and waits for their callbacks. REQUIRES: not
  // called from a callback; every AttendStream has been destroyed.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // One problem. Blocks.
  absl::StatusOr<AttendResponse> Attend(const AttendRequest& request,
                                        const CallOptions& options = {});

  // The same without blocking. `callback` runs once, on a gRPC thread: it must
  // neither block nor make blocking calls. Tensors of `request` that own or
  // share their bytes stay alive as long as gRPC needs them.
  CallHandle AttendAsync(const AttendRequest& request, AttendCallback callback,
                         const CallOptions& options = {});

  // Many problems in one message; results in the order of requests, each with
  // its own status. At most 4096. Blocks.
  absl::StatusOr<std::vector<AttendResult>> AttendBatch(
      absl::Span<const AttendRequest> requests,
      const CallOptions& options = {});
  CallHandle AttendBatchAsync(absl::Span<const AttendRequest> requests,
                              BatchCallback callback,
                              const CallOptions& options = {});

  // A pipelined stream. Its deadline is infinite unless `options` set one, and
  // it is never retried.
  std::unique_ptr<AttendStream> OpenStream(const CallOptions& options = {});

  // State of `service` ("" is the server as a whole). Errors: NOT_FOUND for a
  // service that the server does not know.
  absl::StatusOr<Health> CheckHealth(const std::string& service = "",
                                     const CallOptions& options = {});

  // Calls `on_change` with the present state and each new one, until it returns
  // false (the result is OK then) or the stream ends. Blocks; no deadline
  // unless `options` set one.
  absl::Status WatchHealth(const std::string& service,
                           const std::function<bool(Health)>& on_change,
                           const CallOptions& options = {});

 private:
  Client(std::unique_ptr<Transport> transport, absl::Duration default_deadline);

  const absl::Duration default_deadline_;
  const std::unique_ptr<Transport> transport_;
};

}  // namespace attn::client
