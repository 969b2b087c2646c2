// The yardstick of serve.small: a bare gRPC server that takes any message and
// answers with so many bytes, in a process of its own as attnserve is.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace attn::bench {

// Serves on a free port until its parent dies; writes the port to stdout. What
// `attn_bench --echo-server BYTES` does.
[[noreturn]] void ServeEcho(int64_t reply_bytes);

// That program as a child process. Confined to one thread.
class EchoProcess {
 public:
  explicit EchoProcess(int64_t reply_bytes);
  ~EchoProcess();
  EchoProcess(const EchoProcess&) = delete;
  EchoProcess& operator=(const EchoProcess&) = delete;

  const std::string& address() const { return address_; }

 private:
  pid_t pid_ = -1;
  std::string address_;
};

}  // namespace attn::bench
