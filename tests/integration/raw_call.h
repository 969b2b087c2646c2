// Calls with bytes that no client would encode.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/cpp/transport.h"
#include "google/protobuf/message_lite.h"

namespace attn::test {

// Sends `bytes` as they are as the request of a unary method, waits, and parses
// the answer into `reply`. Errors: the server's.
absl::Status CallRaw(client::Transport& transport, const char* method,
                     const std::string& bytes,
                     google::protobuf::MessageLite& reply);

}  // namespace attn::test
