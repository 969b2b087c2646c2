#include "tests/integration/raw_call.h"

#include <utility>

namespace attn::test {

PendingCall::PendingCall(client::Transport& transport, const char* method,
                         const std::string& bytes,
                         google::protobuf::MessageLite& reply,
                         const client::CallSettings& settings) {
  client::WireMessage message;
  message.Append(bytes);
  call_ = transport.Call(method, std::move(message), settings, &reply,
                         [this](absl::Status status) {
                           status_ = std::move(status);
                           ended_.Notify();
                         });
}

const absl::Status& PendingCall::Wait() {
  ended_.WaitForNotification();
  return status_;
}

absl::Status CallRaw(client::Transport& transport, const char* method,
                     const std::string& bytes,
                     google::protobuf::MessageLite& reply) {
  return PendingCall(transport, method, bytes, reply).Wait();
}

}  // namespace attn::test
