// The real server binary as a child process on ports that the system picks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cpp/attnctl/prometheus_text.h"
#include "client/cpp/client.h"
#include "tests/support/child_process.h"

namespace attn::test {

// Confined to the test's thread, but for the addresses.
class ServerProcess {
 public:
  // Starts attnserve with these flags beside its addresses (of which they may
  // name --grpc-address) and waits until it serves. Dies when it ends, or says
  // nothing for 20 s, before it does.
  explicit ServerProcess(const std::vector<std::string>& flags = {});

  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& http_address() const { return http_address_; }

  // A connected client without retries, so that tests see what the server
  // says.
  std::unique_ptr<client::Client> NewClient() const;

  // The body of an HTTP page; "" for a status other than 200.
  std::string Get(const std::string& path) const;
  attnctl::MetricSet Metrics() const;

  void Signal(int number) const { process_.Signal(number); }
  bool IsRunning() { return process_.IsRunning(); }
  // The exit code, or -1 for death by a signal; waits for it.
  int Wait() { return process_.Wait(); }
  // Resident memory in bytes; CPU time since its start.
  int64_t ResidentBytes() const;
  double CpuSeconds() const;

 private:
  void AwaitServing();

  // Killed when this ends.
  ChildProcess process_;
  std::string log_;
  std::string grpc_address_;
  std::string http_address_;
};

}  // namespace attn::test
