// The calls of attention and layers of sharded_client.h.
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "client/cpp/server_rotation.h"
#include "client/cpp/sharded_client.h"

namespace attn::client {

absl::StatusOr<AttendResponse> ShardedClient::Answer(
    const std::optional<SessionRef>& session, const Call& call,
    const CallOptions& options) {
  if (!session.has_value()) {
    return AnswerAnywhere(call, options);
  }
  return ResultOfOwner<AttendResponse>(
      session->session_id,
      [&](Client& client) { return call(client, options); });
}

absl::StatusOr<AttendResponse> ShardedClient::AnswerAnywhere(
    const Call& call, CallOptions options) {
  if (options.deadline <= absl::ZeroDuration()) {
    options.deadline = options_.client.default_deadline;
  }
  const absl::Time end = absl::Now() + options.deadline;
  absl::Status status;
  for (size_t tried = 0; tried < clients_.size(); ++tried) {
    const size_t server = rotation_->Next(absl::Now());
    absl::StatusOr<AttendResponse> response = call(*clients_[server], options);
    if (response.ok()) {
      return response;
    }
    status = OfServer(server, response.status());
    if (!absl::IsUnavailable(status)) {
      return status;
    }
    const absl::Time now = absl::Now();
    rotation_->MarkAway(server, now);
    options.deadline = end - now;
    if (options.deadline <= absl::ZeroDuration()) {
      return status;
    }
  }
  return status;
}

CallHandle ShardedClient::AnswerAsync(const std::optional<SessionRef>& session,
                                      Client::AttendCallback callback,
                                      const Start& start) {
  const bool has_session = session.has_value();
  const size_t server =
      has_session ? Owner(session->session_id) : rotation_->Next(absl::Now());
  return start(*clients_[server],
               [this, server, has_session, callback = std::move(callback)](
                   absl::StatusOr<AttendResponse> answer) {
                 if (!has_session && absl::IsUnavailable(answer.status())) {
                   rotation_->MarkAway(server, absl::Now());
                 }
                 callback(answer.ok() ? std::move(answer)
                                      : OfServer(server, answer.status()));
               });
}

void ShardedClient::Scatter(size_t server,
                            absl::StatusOr<std::vector<AttendResult>> answer,
                            const std::vector<size_t>& places,
                            std::vector<AttendResult>& results) const {
  for (size_t i = 0; i < places.size(); ++i) {
    AttendResult& result = results[places[i]];
    if (answer.ok() && i < answer->size()) {
      result = std::move((*answer)[i]);
    } else {
      result.status = answer.ok() ? absl::InternalError("no result was sent")
                                  : answer.status();
    }
    result.status = OfServer(server, result.status);
  }
}

template <typename Request>
std::vector<AttendResult> ShardedClient::AnswerBatch(
    absl::Span<const Request> requests, const CallOptions& options,
    CallHandle (Client::*start)(absl::Span<const Request>,
                                Client::BatchCallback, const CallOptions&)) {
  const size_t anywhere = rotation_->Next(absl::Now());
  std::vector<std::vector<size_t>> places(clients_.size());
  std::vector<std::vector<Request>> messages(clients_.size());
  std::vector<AttendResult> results(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto& session = requests[i].session;
    const size_t server =
        session.has_value() ? Owner(session->session_id) : anywhere;
    places[server].push_back(i);
    messages[server].push_back(requests[i]);
    results[i].response.request_id = requests[i].request_id;
  }
  absl::BlockingCounter pending(static_cast<int>(clients_.size()));
  for (size_t server = 0; server < clients_.size(); ++server) {
    if (messages[server].empty()) {
      pending.DecrementCount();
      continue;
    }
    (clients_[server].get()->*start)(
        messages[server],
        [&, server](absl::StatusOr<std::vector<AttendResult>> answer) {
          if (server == anywhere && absl::IsUnavailable(answer.status())) {
            rotation_->MarkAway(server, absl::Now());
          }
          Scatter(server, std::move(answer), places[server], results);
          pending.DecrementCount();
        },
        options);
  }
  pending.Wait();
  return results;
}

absl::StatusOr<AttendResponse> ShardedClient::Attend(
    const AttendRequest& request, const CallOptions& options) {
  return Answer(
      request.session,
      [&](Client& client, const CallOptions& given) {
        return client.Attend(request, given);
      },
      options);
}

CallHandle ShardedClient::AttendAsync(const AttendRequest& request,
                                      Client::AttendCallback callback,
                                      const CallOptions& options) {
  return AnswerAsync(request.session, std::move(callback),
                     [&](Client& client, Client::AttendCallback done) {
                       return client.AttendAsync(request, std::move(done),
                                                 options);
                     });
}

std::vector<AttendResult> ShardedClient::AttendBatch(
    absl::Span<const AttendRequest> requests, const CallOptions& options) {
  return AnswerBatch(requests, options, &Client::AttendBatchAsync);
}

absl::StatusOr<ForwardResponse> ShardedClient::Forward(
    const ForwardRequest& request, const CallOptions& options) {
  return Answer(
      request.session,
      [&](Client& client, const CallOptions& given) {
        return client.Forward(request, given);
      },
      options);
}

CallHandle ShardedClient::ForwardAsync(const ForwardRequest& request,
                                       Client::ForwardCallback callback,
                                       const CallOptions& options) {
  return AnswerAsync(request.session, std::move(callback),
                     [&](Client& client, Client::ForwardCallback done) {
                       return client.ForwardAsync(request, std::move(done),
                                                  options);
                     });
}

std::vector<ForwardResult> ShardedClient::ForwardBatch(
    absl::Span<const ForwardRequest> requests, const CallOptions& options) {
  return AnswerBatch(requests, options, &Client::ForwardBatchAsync);
}

}  // namespace attn::client
