// Calls with bytes that no client would encode.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "client/cpp/transport.h"
#include "google/protobuf/message_lite.h"

namespace attn::test {

// A unary call with `bytes` as they are, under way. Confined to the test's
// thread.
class PendingCall {
 public:
  // `method` is a literal; transport and reply must outlive this.
  PendingCall(client::Transport& transport, const char* method,
              const std::string& bytes, google::protobuf::MessageLite& reply,
              const client::CallSettings& settings = {});
  // Waits for its end.
  ~PendingCall() { Wait(); }
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;

  void Cancel() { call_->Cancel(); }
  bool has_ended() const { return ended_.HasBeenNotified(); }
  // The server's status, or the client's own.
  const absl::Status& Wait();

 private:
  absl::Status status_;
  absl::Notification ended_;
  std::shared_ptr<client::Cancellable> call_;
};

// The same with its reply.
template <typename Reply>
class PendingReply {
 public:
  PendingReply(client::Transport& transport, const char* method,
               const google::protobuf::MessageLite& request,
               const client::CallSettings& settings = {})
      : call_(transport, method, request.SerializeAsString(), reply_,
              settings) {}

  void Cancel() { call_.Cancel(); }
  bool has_ended() const { return call_.has_ended(); }
  absl::StatusOr<Reply> Wait() {
    if (!call_.Wait().ok()) return call_.Wait();
    return reply_;
  }

 private:
  Reply reply_;
  PendingCall call_;
};

// Sends `bytes` as the request of a unary method, waits, and parses the answer
// into `reply`. Errors: the server's.
absl::Status CallRaw(client::Transport& transport, const char* method,
                     const std::string& bytes,
                     google::protobuf::MessageLite& reply);

}  // namespace attn::test
