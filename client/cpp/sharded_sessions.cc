// The calls of sessions of sharded_client.h.
#include <random>

#include "absl/strings/str_cat.h"
#include "client/cpp/rendezvous.h"
#include "client/cpp/sharded_client.h"

namespace attn::client {
namespace {

// 32 random bits a word, as hexadecimal digits.
std::string RandomHex(int words) {
  std::random_device random;
  std::string digits;
  for (int i = 0; i < words; ++i) {
    absl::StrAppend(&digits, absl::Hex(random(), absl::kZeroPad8));
  }
  return digits;
}

}  // namespace

absl::StatusOr<Session> ShardedClient::CreateSession(
    const SessionSpec& spec, const std::string& session_id,
    const CallOptions& options) {
  const std::string id = session_id.empty() ? RandomHex(4) : session_id;
  const size_t owner = Owner(id);
  absl::StatusOr<Session> session =
      clients_[owner]->CreateSession(spec, id, options);
  return session.ok() ? std::move(session) : OfServer(owner, session.status());
}

absl::StatusOr<Session> ShardedClient::ForkSession(
    const std::string& source_session_id, const std::string& session_id,
    std::optional<uint64_t> length, const CallOptions& options) {
  const std::string key(RoutingKey(source_session_id));
  const std::string id =
      session_id.empty() ? absl::StrCat(key, "--", RandomHex(2)) : session_id;
  if (RoutingKey(id) != key) {
    return absl::InvalidArgumentError(absl::StrCat(
        "session_id must be '", key, "--' and more, so that it is on the ",
        "server of source_session_id; got '", id, "'"));
  }
  const size_t owner = Owner(id);
  absl::StatusOr<Session> session =
      clients_[owner]->ForkSession(source_session_id, id, length, options);
  return session.ok() ? std::move(session) : OfServer(owner, session.status());
}

absl::StatusOr<Session> ShardedClient::TruncateSession(
    const std::string& session_id, uint64_t length,
    std::optional<uint32_t> layer, const CallOptions& options) {
  return ResultOfOwner<Session>(session_id, [&](Client& client) {
    return client.TruncateSession(session_id, length, layer, options);
  });
}

absl::StatusOr<uint64_t> ShardedClient::AppendKv(const AppendRequest& request,
                                                 const CallOptions& options) {
  return ResultOfOwner<uint64_t>(
      request.session.session_id,
      [&](Client& client) { return client.AppendKv(request, options); });
}

CallHandle ShardedClient::AppendKvAsync(const AppendRequest& request,
                                        Client::AppendCallback callback,
                                        const CallOptions& options) {
  const size_t owner = Owner(request.session.session_id);
  return clients_[owner]->AppendKvAsync(
      request,
      [this, owner,
       callback = std::move(callback)](absl::StatusOr<uint64_t> length) {
        callback(length.ok() ? length : OfServer(owner, length.status()));
      },
      options);
}

absl::StatusOr<Session> ShardedClient::GetSession(const std::string& session_id,
                                                  const CallOptions& options) {
  return ResultOfOwner<Session>(session_id, [&](Client& client) {
    return client.GetSession(session_id, options);
  });
}

absl::StatusOr<std::vector<Session>> ShardedClient::ListAllSessions(
    const CallOptions& options) {
  std::vector<Session> all;
  for (size_t server = 0; server < clients_.size(); ++server) {
    absl::StatusOr<std::vector<Session>> sessions =
        clients_[server]->ListAllSessions(options);
    if (!sessions.ok()) {
      return OfServer(server, sessions.status());
    }
    for (Session& session : *sessions) {
      all.push_back(std::move(session));
    }
  }
  return all;
}

absl::Status ShardedClient::DeleteSession(const std::string& session_id,
                                          const CallOptions& options) {
  const size_t owner = Owner(session_id);
  return OfServer(owner, clients_[owner]->DeleteSession(session_id, options));
}

absl::Status ShardedClient::ExportSession(const std::string& session_id,
                                          const SnapshotSink& sink,
                                          const CallOptions& options) {
  return OnOwner(session_id, [&](Client& client) {
    return client.ExportSession(session_id, sink, options);
  });
}

absl::StatusOr<Session> ShardedClient::ImportSession(
    const SnapshotSource& source, const std::string& session_id,
    const CallOptions& options) {
  if (session_id.empty()) {
    return absl::InvalidArgumentError(
        "session_id must not be empty: the server follows from it; got ''");
  }
  const size_t owner = Owner(session_id);
  absl::StatusOr<Session> session =
      clients_[owner]->ImportSession(source, session_id, options);
  return session.ok() ? std::move(session) : OfServer(owner, session.status());
}

}  // namespace attn::client
