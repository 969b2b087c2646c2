#include "tests/integration/raw_call.h"

#include <utility>

#include "absl/synchronization/notification.h"

namespace attn::test {

absl::Status CallRaw(client::Transport& transport, const char* method,
                     const std::string& bytes,
                     google::protobuf::MessageLite& reply) {
  client::WireMessage message;
  message.Append(bytes);
  absl::Status result;
  absl::Notification done;
  transport.Call(method, std::move(message), {}, &reply,
                 [&](absl::Status status) {
                   result = std::move(status);
                   done.Notify();
                 });
  done.WaitForNotification();
  return result;
}

}  // namespace attn::test
