// What the unary calls of the client have in common: settings, one encoded
// request, a reply that is decoded, and waiting for it. Internal to the client.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "client/cpp/client.h"
#include "client/cpp/options.h"
#include "client/cpp/transport.h"

namespace attn::client {

// What goes out.
struct EncodedCall {
  const char* method;  // A literal.
  WireMessage request;
  CallSettings settings;
};

// A call whose `message` has no tensor.
EncodedCall SmallCall(const char* method,
                      const google::protobuf::MessageLite& message,
                      CallSettings settings);

// The same for one page of a list.
template <typename Message>
EncodedCall PageCall(const char* method, uint32_t page_size,
                     const std::string& page_token, CallSettings settings) {
  Message message;
  message.set_page_size(page_size);
  message.set_page_token(page_token);
  return SmallCall(method, message, std::move(settings));
}

// `options` with its defaults resolved, from now on.
CallSettings Resolve(const CallOptions& options,
                     absl::Duration default_deadline);

// Adds the metadata that a proxy routes by (proto/README.md). An id that the
// contract does not allow is left out: the server names the fault.
void AddSessionKey(const std::string& session_id, CallSettings& settings);

// Starts `call`; `callback` gets what `decode` makes of the reply.
template <typename Message, typename T>
CallHandle StartCall(Transport& transport, EncodedCall&& call,
                     T (*decode)(Message&),
                     std::function<void(absl::StatusOr<T>)> callback) {
  auto reply = std::make_shared<Message>();
  return CallHandle(transport.Call(
      call.method, std::move(call.request), call.settings, reply.get(),
      [reply, decode,
       callback = std::move(callback)](const absl::Status& status) {
        if (status.ok()) {
          callback(decode(*reply));
        } else {
          callback(status);
        }
      }));
}

// Starts a call by `start(callback)` and waits for what the callback gets.
template <typename T, typename Start>
absl::StatusOr<T> Await(Start start) {
  absl::StatusOr<T> outcome = absl::UnknownError("no result");
  absl::Notification done;
  start([&outcome, &done](absl::StatusOr<T> result) {
    outcome = std::move(result);
    done.Notify();
  });
  done.WaitForNotification();
  return outcome;
}

// Both in one.
template <typename Message, typename T>
absl::StatusOr<T> BlockingCall(Transport& transport, EncodedCall call,
                               T (*decode)(Message&)) {
  return Await<T>([&](std::function<void(absl::StatusOr<T>)> callback) {
    StartCall(transport, std::move(call), decode, std::move(callback));
  });
}

// The same for a reply that says nothing.
template <typename Message>
absl::Status BlockingCall(Transport& transport, EncodedCall call) {
  return BlockingCall(
             transport, std::move(call),
             +[](Message& /*reply*/) { return true; })
      .status();
}

}  // namespace attn::client
