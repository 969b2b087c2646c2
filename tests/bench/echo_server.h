// The yardstick of serve.small: a bare gRPC server that takes any message and
// answers with so many bytes, in a process of its own as attnserve is.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/child_process.h"

namespace attn::bench {

// Serves on a free port until it is killed; writes the port to stdout. What
// `attn_bench --echo-server BYTES` does.
[[noreturn]] void ServeEcho(int64_t reply_bytes);

// That program as a child process. Confined to one thread.
class EchoProcess {
 public:
  explicit EchoProcess(int64_t reply_bytes);

  const std::string& address() const { return address_; }

 private:
  // Killed when this ends.
  test::ChildProcess process_;
  std::string address_;
};

}  // namespace attn::bench
