#include "client/cpp/sharded_client.h"

#include <set>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "client/cpp/error_details.h"
#include "client/cpp/rendezvous.h"
#include "client/cpp/server_rotation.h"
#include "client/cpp/status_prefix.h"

namespace attn::client {
namespace {

constexpr char kServerPayload[] = "attnserve/server";

absl::Status CheckAddresses(const std::vector<std::string>& addresses) {
  std::set<std::string> seen;
  for (const std::string& address : addresses) {
    if (!seen.insert(address).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "addresses must differ; got '", address, "' more than once"));
    }
  }
  return addresses.empty() ? absl::InvalidArgumentError(
                                 "addresses must not be empty; got none")
                           : absl::OkStatus();
}

// The server is there and does not know the session, through no act of a
// client.
bool IsLost(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  return reason == "SESSION_NEVER_EXISTED" || reason == "SERVER_RESTARTED";
}

}  // namespace

std::string ErrorServer(const absl::Status& status) {
  const absl::optional<absl::Cord> server = status.GetPayload(kServerPayload);
  return server.has_value() ? std::string(*server) : "";
}

absl::StatusOr<std::unique_ptr<ShardedClient>> ShardedClient::Create(
    ShardedOptions options) {
  if (absl::Status status = CheckAddresses(options.addresses); !status.ok()) {
    return status;
  }
  std::unique_ptr<ShardedClient> sharded(new ShardedClient(std::move(options)));
  ClientOptions of_server = sharded->options_.client;
  for (const std::string& address : sharded->addresses()) {
    of_server.address = address;
    absl::StatusOr<std::unique_ptr<Client>> client = Client::Create(of_server);
    if (!client.ok()) {
      return client.status();
    }
    sharded->clients_.push_back(*std::move(client));
  }
  return sharded;
}

ShardedClient::ShardedClient(ShardedOptions options)
    : options_(std::move(options)),
      rotation_(std::make_unique<ServerRotation>(options_.addresses.size(),
                                                 options_.away_pause)) {}

ShardedClient::~ShardedClient() = default;

size_t ShardedClient::Owner(std::string_view session_id) const {
  return OwnerOf(options_.addresses, session_id);
}

Client& ShardedClient::ServerOf(std::string_view session_id) {
  return *clients_[Owner(session_id)];
}

absl::Status ShardedClient::OfServer(size_t server,
                                     const absl::Status& status) const {
  const std::string& address = options_.addresses[server];
  absl::Status described = Prefixed(absl::StrCat("server ", address), status);
  if (!described.ok()) {
    described.SetPayload(kServerPayload, absl::Cord(address));
  }
  return described;
}

absl::Status ShardedClient::Restore(
    size_t owner, const std::string& session_id,
    const std::function<absl::Status(Client&)>& call) {
  const absl::MutexLock lock(&restoring_);
  absl::Status again = call(*clients_[owner]);
  if (!IsLost(again)) {
    return again;  // Another thread has restored it meanwhile.
  }
  const absl::Status restored = options_.restore_session(
      {session_id, options_.addresses[owner], again}, *clients_[owner]);
  return restored.ok() ? call(*clients_[owner])
                       : Prefixed(absl::StrCat("session ", session_id,
                                               " could not be restored"),
                                  restored);
}

absl::Status ShardedClient::OnOwner(
    const std::string& session_id,
    const std::function<absl::Status(Client&)>& call) {
  const size_t owner = Owner(session_id);
  absl::Status status = call(*clients_[owner]);
  if (options_.restore_session != nullptr && IsLost(status)) {
    status = Restore(owner, session_id, call);
  }
  return OfServer(owner, status);
}

std::unique_ptr<AttendStream> ShardedClient::OpenStream(
    std::string_view session_id, const CallOptions& options) {
  return ServerOf(session_id).OpenStream(options);
}

}  // namespace attn::client
