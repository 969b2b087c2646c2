// The calls of attn.v1.SessionService: the second part of client.h.
#include <utility>

#include "client/cpp/all_pages.h"
#include "client/cpp/client.h"
#include "client/cpp/session_codec.h"
#include "client/cpp/unary_call.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

constexpr char kCreate[] = "/attn.v1.SessionService/CreateSession";
constexpr char kFork[] = "/attn.v1.SessionService/ForkSession";
constexpr char kTruncate[] = "/attn.v1.SessionService/TruncateSession";
constexpr char kAppend[] = "/attn.v1.SessionService/AppendKv";
constexpr char kGet[] = "/attn.v1.SessionService/GetSession";
constexpr char kList[] = "/attn.v1.SessionService/ListSessions";
constexpr char kDelete[] = "/attn.v1.SessionService/DeleteSession";

// A call about `session_id` whose message has no tensor.
EncodedCall SessionCall(const char* method, const std::string& session_id,
                        const google::protobuf::MessageLite& message,
                        CallSettings settings) {
  AddSessionKey(session_id, settings);
  return SmallCall(method, message, std::move(settings));
}

}  // namespace

absl::StatusOr<Session> Client::CreateSession(const SessionSpec& spec,
                                              const std::string& session_id,
                                              const CallOptions& options) {
  pb::CreateSessionRequest message;
  message.set_session_id(session_id);
  FillSpec(spec, *message.mutable_spec());
  return BlockingCall(*transport_,
                      SessionCall(kCreate, session_id, message,
                                  Resolve(options, default_deadline_)),
                      DecodeSession);
}

absl::StatusOr<Session> Client::ForkSession(
    const std::string& source_session_id, const std::string& session_id,
    std::optional<uint64_t> length, const CallOptions& options) {
  pb::ForkSessionRequest message;
  message.set_source_session_id(source_session_id);
  message.set_session_id(session_id);
  if (length.has_value()) {
    message.set_length(*length);
  }
  return BlockingCall(*transport_,
                      SessionCall(kFork, source_session_id, message,
                                  Resolve(options, default_deadline_)),
                      DecodeSession);
}

absl::StatusOr<Session> Client::TruncateSession(const std::string& session_id,
                                                uint64_t length,
                                                std::optional<uint32_t> layer,
                                                const CallOptions& options) {
  pb::TruncateSessionRequest message;
  message.set_session_id(session_id);
  message.set_length(length);
  if (layer.has_value()) {
    message.set_layer(*layer);
  }
  return BlockingCall(*transport_,
                      SessionCall(kTruncate, session_id, message,
                                  Resolve(options, default_deadline_)),
                      DecodeSession);
}

absl::StatusOr<uint64_t> Client::AppendKv(const AppendRequest& request,
                                          const CallOptions& options) {
  return Await<uint64_t>([&](AppendCallback callback) {
    AppendKvAsync(request, std::move(callback), options);
  });
}

CallHandle Client::AppendKvAsync(const AppendRequest& request,
                                 AppendCallback callback,
                                 const CallOptions& options) {
  CallSettings settings = Resolve(options, default_deadline_);
  settings.may_retry = request.session.expected_length.has_value();
  AddSessionKey(request.session.session_id, settings);
  return StartCall(*transport_,
                   {kAppend, EncodeAppend(request), std::move(settings)},
                   DecodeAppend, std::move(callback));
}

absl::StatusOr<Session> Client::GetSession(const std::string& session_id,
                                           const CallOptions& options) {
  pb::GetSessionRequest message;
  message.set_session_id(session_id);
  return BlockingCall(*transport_,
                      SessionCall(kGet, session_id, message,
                                  Resolve(options, default_deadline_)),
                      DecodeSession);
}

absl::StatusOr<ListPage> Client::ListSessions(uint32_t page_size,
                                              const std::string& page_token,
                                              const CallOptions& options) {
  return BlockingCall(
      *transport_,
      PageCall<pb::ListSessionsRequest>(kList, page_size, page_token,
                                        Resolve(options, default_deadline_)),
      DecodeListPage);
}

absl::StatusOr<std::vector<Session>> Client::ListAllSessions(
    const CallOptions& options) {
  return AllPages(
      [&](const std::string& token) { return ListSessions(0, token, options); },
      &ListPage::sessions);
}

absl::Status Client::DeleteSession(const std::string& session_id,
                                   const CallOptions& options) {
  pb::DeleteSessionRequest message;
  message.set_session_id(session_id);
  return BlockingCall<pb::DeleteSessionResponse>(
      *transport_, SessionCall(kDelete, session_id, message,
                               Resolve(options, default_deadline_)));
}

}  // namespace attn::client
