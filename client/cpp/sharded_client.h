// A client of several servers, for those without a proxy: every call of a
// session goes to the server that has it (rendezvous.h), calls without a
// session to each server in turn. It is made of one Client for each server.
//
// 1. Where a session is depends on its id and the list of addresses alone,
//    never on which servers are up: so all clients agree, and a server that
//    comes back has its own sessions' calls again. Another list is another
//    ShardedClient; then the sessions of servers that left are elsewhere, and
//    nobody else's.
// 2. Ids are made here, where the caller gives none: the server could not know
//    which of its ids would be its own. A fork's id begins with its source's
//    routing key (RoutingKey), since it is on the same server.
// 3. A server that is away loses its sessions' calls alone: UNAVAILABLE, with
//    ErrorServer. One that comes back without them answers NOT_FOUND with the
//    reason SESSION_NEVER_EXISTED or SERVER_RESTARTED. Neither the client nor
//    the server keeps keys and values elsewhere: only the caller can make the
//    session again, in ShardedOptions::restore_session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "client/cpp/client.h"
#include "client/cpp/options.h"

namespace attn::client {

class ServerRotation;

// A session whose server no longer knows it.
struct LostSession {
  std::string session_id;
  std::string address;  // Of its server.
  absl::Status error;   // NOT_FOUND; ErrorReason(error) says why.
};

// Makes the session again on `server` and brings it to the length that it had:
// CreateSession and AppendKv of what the caller still has, or ImportSession of
// an export. Where it returns OK, the call that found the session missing is
// sent again; its expected_length then says whether the session is as long as
// it has to be. Called on the thread of that call, one at a time; it must not
// call the ShardedClient.
using SessionRestorer =
    std::function<absl::Status(const LostSession& lost, Client& server)>;

struct ShardedOptions {
  // HOST:PORT of every server. They are the servers' names, too: give all
  // clients the same ones, best such that stay (of a StatefulSet:
  // "attnserve-0.attnserve:8001"). ResolveAddresses finds those of a headless
  // service.
  std::vector<std::string> addresses = {};
  // For each of them; its own address is not read.
  ClientOptions client = {};
  // How long calls without a session pass over a server that did not answer.
  absl::Duration away_pause = absl::Seconds(1);
  // Absent: a lost session is the caller's to see. The calls that block, but
  // for Create-, Fork-, Delete- and ImportSession and the batches, use it.
  SessionRestorer restore_session = nullptr;
};

// The address of the server that an error of a ShardedClient is of; "" for
// another error.
std::string ErrorServer(const absl::Status& status);

// Thread-safe, as Client is. What a call means and its errors are in client.h.
class ShardedClient {
 public:
  // Errors: INVALID_ARGUMENT for no address, one that is there twice, and
  // Client::Create's.
  static absl::StatusOr<std::unique_ptr<ShardedClient>> Create(
      ShardedOptions options);

  // As Client's.
  ~ShardedClient();
  ShardedClient(const ShardedClient&) = delete;
  ShardedClient& operator=(const ShardedClient&) = delete;

  const std::vector<std::string>& addresses() const {
    return options_.addresses;
  }
  // Of addresses()[i]; for health, for a SplitContext, for all that is not
  // here.
  Client& server(size_t i) { return *clients_[i]; }
  // The one that has, or would have, the session.
  Client& ServerOf(std::string_view session_id);

  // Without a session: asks the next server where one is UNAVAILABLE (away,
  // draining), until all were asked or the deadline has passed.
  absl::StatusOr<AttendResponse> Attend(const AttendRequest& request,
                                        const CallOptions& options = {});
  // One server is asked: one that is away is passed over from the next call on.
  CallHandle AttendAsync(const AttendRequest& request,
                         Client::AttendCallback callback,
                         const CallOptions& options = {});
  // A message to each server that has sessions of it, and one for what has
  // none. A message that fails as a whole gives its items their status; a
  // server that is away is passed over from the next call on.
  std::vector<AttendResult> AttendBatch(
      absl::Span<const AttendRequest> requests,
      const CallOptions& options = {});
  // As Attend, AttendAsync and AttendBatch. Every server must have loaded the
  // layer; server(i) loads and lists them.
  absl::StatusOr<ForwardResponse> Forward(const ForwardRequest& request,
                                          const CallOptions& options = {});
  CallHandle ForwardAsync(const ForwardRequest& request,
                          Client::ForwardCallback callback,
                          const CallOptions& options = {});
  std::vector<ForwardResult> ForwardBatch(
      absl::Span<const ForwardRequest> requests,
      const CallOptions& options = {});
  // A stream to the session's server: all its requests must be of sessions
  // there, or of none.
  std::unique_ptr<AttendStream> OpenStream(std::string_view session_id,
                                           const CallOptions& options = {});

  // An empty id: 128 random bits.
  absl::StatusOr<Session> CreateSession(const SessionSpec& spec,
                                        const std::string& session_id = "",
                                        const CallOptions& options = {});
  // An empty id: the source's routing key, "--" and 64 random bits. Errors:
  // also INVALID_ARGUMENT for an id with another routing key.
  absl::StatusOr<Session> ForkSession(const std::string& source_session_id,
                                      const std::string& session_id = "",
                                      std::optional<uint64_t> length = {},
                                      const CallOptions& options = {});
  absl::StatusOr<Session> TruncateSession(const std::string& session_id,
                                          uint64_t length,
                                          std::optional<uint32_t> layer = {},
                                          const CallOptions& options = {});
  absl::StatusOr<uint64_t> AppendKv(const AppendRequest& request,
                                    const CallOptions& options = {});
  CallHandle AppendKvAsync(const AppendRequest& request,
                           Client::AppendCallback callback,
                           const CallOptions& options = {});
  absl::StatusOr<Session> GetSession(const std::string& session_id,
                                     const CallOptions& options = {});
  // Of all servers, in the order of their addresses. Errors: the first
  // server's that fails.
  absl::StatusOr<std::vector<Session>> ListAllSessions(
      const CallOptions& options = {});
  absl::Status DeleteSession(const std::string& session_id,
                             const CallOptions& options = {});
  absl::Status ExportSession(const std::string& session_id,
                             const SnapshotSink& sink,
                             const CallOptions& options = {});
  // Errors: also INVALID_ARGUMENT for an empty id: the place is needed before
  // the snapshot says its own.
  absl::StatusOr<Session> ImportSession(const SnapshotSource& source,
                                        const std::string& session_id,
                                        const CallOptions& options = {});

 private:
  explicit ShardedClient(ShardedOptions options);

  size_t Owner(std::string_view session_id) const;

  // Of attention or of a layer, whose answers are of one type: Attend and
  // Forward, of the session's server or of one that is there.
  using Call = std::function<absl::StatusOr<AttendResponse>(
      Client&, const CallOptions&)>;
  absl::StatusOr<AttendResponse> Answer(
      const std::optional<SessionRef>& session, const Call& call,
      const CallOptions& options);
  absl::StatusOr<AttendResponse> AnswerAnywhere(const Call& call,
                                                CallOptions options);
  // AttendAsync and ForwardAsync.
  using Start = std::function<CallHandle(Client&, Client::AttendCallback)>;
  CallHandle AnswerAsync(const std::optional<SessionRef>& session,
                         Client::AttendCallback callback, const Start& start);
  // AttendBatch and ForwardBatch; `start` is Client's.
  template <typename Request>
  std::vector<AttendResult> AnswerBatch(
      absl::Span<const Request> requests, const CallOptions& options,
      CallHandle (Client::*start)(absl::Span<const Request>,
                                  Client::BatchCallback, const CallOptions&));

  // `call` on the session's server; once more where the session was lost and
  // could be restored.
  absl::Status OnOwner(const std::string& session_id,
                       const std::function<absl::Status(Client&)>& call);
  template <typename T>
  absl::StatusOr<T> ResultOfOwner(
      const std::string& session_id,
      const std::function<absl::StatusOr<T>(Client&)>& call) {
    absl::StatusOr<T> result = absl::UnknownError("no result");
    const absl::Status status = OnOwner(session_id, [&](Client& client) {
      result = call(client);
      return result.status();
    });
    return status.ok() ? std::move(result) : status;
  }
  absl::Status Restore(size_t owner, const std::string& session_id,
                       const std::function<absl::Status(Client&)>& call);
  // Puts the answers to a message in the places that its items came from.
  void Scatter(size_t server, absl::StatusOr<std::vector<AttendResult>> answer,
               const std::vector<size_t>& places,
               std::vector<AttendResult>& results) const;
  // An error says which server.
  absl::Status OfServer(size_t server, const absl::Status& status) const;

  const ShardedOptions options_;
  const std::unique_ptr<ServerRotation> rotation_;
  absl::Mutex restoring_;  // Held while a session is restored.
  // Of options_.addresses. Last, so that callbacks find the rest still there.
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace attn::client
