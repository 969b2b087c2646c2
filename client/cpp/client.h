// The client of attn.v1: one channel to one server, blocking and asynchronous
// calls with deadlines, retries and typed errors (error_details.h). Start here;
// request.h, session.h and layer.h have what is sent, options.h how.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/cpp/attend_stream.h"
#include "client/cpp/layer.h"
#include "client/cpp/options.h"
#include "client/cpp/request.h"
#include "client/cpp/session.h"
#include "client/cpp/snapshot_stream.h"

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
  using ForwardCallback = std::function<void(absl::StatusOr<ForwardResponse>)>;
  using AppendCallback = std::function<void(absl::StatusOr<uint64_t>)>;

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

  // Makes an empty session. Empty `session_id`: the server chooses it. Not
  // retried: a lost answer would come back as ALREADY_EXISTS. Errors:
  // ALREADY_EXISTS, INVALID_ARGUMENT, RESOURCE_EXHAUSTED (KV_MEMORY, QUOTA).
  absl::StatusOr<Session> CreateSession(const SessionSpec& spec,
                                        const std::string& session_id = "",
                                        const CallOptions& options = {});

  // Makes a session that shares the first `length` tokens (absent: all) of
  // every layer of `source_session_id`. Not retried. Errors: NOT_FOUND,
  // ALREADY_EXISTS, FAILED_PRECONDITION (LENGTH_MISMATCH: a layer is shorter).
  absl::StatusOr<Session> ForkSession(const std::string& source_session_id,
                                      const std::string& session_id = "",
                                      std::optional<uint64_t> length = {},
                                      const CallOptions& options = {});

  // Keeps the first `length` tokens of `layer` (absent: of every layer).
  // Retried: do not append at the same time. Errors: NOT_FOUND,
  // FAILED_PRECONDITION (LENGTH_MISMATCH).
  absl::StatusOr<Session> TruncateSession(const std::string& session_id,
                                          uint64_t length,
                                          std::optional<uint32_t> layer = {},
                                          const CallOptions& options = {});

  // Appends keys and values to one layer and gives its length afterwards.
  // Retried only with request.session.expected_length. Errors: NOT_FOUND,
  // FAILED_PRECONDITION (LENGTH_MISMATCH, SPEC_MISMATCH, MAX_LENGTH),
  // RESOURCE_EXHAUSTED (KV_MEMORY), INVALID_ARGUMENT.
  absl::StatusOr<uint64_t> AppendKv(const AppendRequest& request,
                                    const CallOptions& options = {});
  // As AttendAsync.
  CallHandle AppendKvAsync(const AppendRequest& request,
                           AppendCallback callback,
                           const CallOptions& options = {});

  // Neither of these prolongs idle_ttl. Errors: NOT_FOUND with the reason why
  // the session is gone.
  absl::StatusOr<Session> GetSession(const std::string& session_id,
                                     const CallOptions& options = {});
  // At most `page_size` sessions (0: the server's choice) after the page that
  // gave `page_token`. Errors: INVALID_ARGUMENT for a token of no page.
  absl::StatusOr<ListPage> ListSessions(uint32_t page_size = 0,
                                        const std::string& page_token = "",
                                        const CallOptions& options = {});
  // All pages, one call each with the whole deadline. A session made or freed
  // meanwhile may or may not be there.
  absl::StatusOr<std::vector<Session>> ListAllSessions(
      const CallOptions& options = {});

  // Frees a session. Not retried: a lost answer would come back as NOT_FOUND.
  absl::Status DeleteSession(const std::string& session_id,
                             const CallOptions& options = {});

  // Gives the bytes of a snapshot of the session, as it is when the server
  // hears of it, to `sink`, on this thread. Whole only if the result is OK.
  // Blocks; no deadline unless `options` set one; not retried. Counts as use of
  // the session. Errors: NOT_FOUND, and the sink's own.
  absl::Status ExportSession(const std::string& session_id,
                             const SnapshotSink& sink,
                             const CallOptions& options = {});

  // Makes a session of a snapshot's bytes, all or nothing. Empty `session_id`:
  // the snapshot's own. Blocks; no deadline unless `options` set one; not
  // retried. Errors: DATA_LOSS (SNAPSHOT_DAMAGED), CreateSession's,
  // UNIMPLEMENTED for another format, and the source's own.
  absl::StatusOr<Session> ImportSession(const SnapshotSource& source,
                                        const std::string& session_id = "",
                                        const CallOptions& options = {});

  // Hidden states through an attention layer whose weights the server has.
  // Blocks. With a session retried only with expected_length. Errors:
  // NOT_FOUND (LAYER_NOT_LOADED), and Attend's.
  absl::StatusOr<ForwardResponse> Forward(const ForwardRequest& request,
                                          const CallOptions& options = {});
  // As AttendAsync.
  CallHandle ForwardAsync(const ForwardRequest& request,
                          ForwardCallback callback,
                          const CallOptions& options = {});
  // As AttendBatch, through any layers.
  absl::StatusOr<std::vector<ForwardResult>> ForwardBatch(
      absl::Span<const ForwardRequest> requests,
      const CallOptions& options = {});
  CallHandle ForwardBatchAsync(absl::Span<const ForwardRequest> requests,
                               BatchCallback callback,
                               const CallOptions& options = {});

  // The layers that are loaded; pages as those of sessions.
  absl::StatusOr<LayerPage> ListLayers(uint32_t page_size = 0,
                                       const std::string& page_token = "",
                                       const CallOptions& options = {});
  absl::StatusOr<std::vector<Layer>> ListAllLayers(
      const CallOptions& options = {});
  // Errors: NOT_FOUND (LAYER_NOT_LOADED).
  absl::StatusOr<Layer> GetLayer(const std::string& name,
                                 const CallOptions& options = {});

  // Loads a layer of a model in the server's folder, takes one away from new
  // requests. Not retried: a lost answer would come back as ALREADY_EXISTS or
  // NOT_FOUND. Errors: PERMISSION_DENIED where the server does not allow it;
  // of LoadLayer also NOT_FOUND (LAYER_NOT_FOUND), ALREADY_EXISTS
  // (LAYER_LOADED), FAILED_PRECONDITION (BAD_CHECKPOINT), RESOURCE_EXHAUSTED
  // (LAYER_MEMORY); of UnloadLayer NOT_FOUND (LAYER_NOT_LOADED).
  absl::StatusOr<Layer> LoadLayer(
      const std::string& name,
      WeightFormat weights = WeightFormat::kUnspecified,
      const CallOptions& options = {});
  absl::Status UnloadLayer(const std::string& name,
                           const CallOptions& options = {});

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
