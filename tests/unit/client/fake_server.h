// A server of attn.v1 in the test's own process: it computes nothing, echoes
// the query as output, keeps the lengths of sessions and fails as it was told.
// No gRPC in this header.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace attn::client {

// What the next Attend calls do, in order; further ones succeed.
struct FakeOutcome {
  int code = 0;               // gRPC code; 0: echo.
  std::string pushback = {};  // grpc-retry-pushback-ms, if not empty.
  std::string details = {};   // grpc-status-details-bin
  bool hang = false;          // Answer only when cancelled.
};

// Thread-safe.
class FakeServer {
 public:
  // `port` 0: one that the system picks.
  explicit FakeServer(int port = 0);
  ~FakeServer();

  int port() const;
  std::string address() const;
  void Expect(std::vector<FakeOutcome> outcomes);
  int attend_calls() const;
  // The request_ids and attn-session-id metadata that arrived.
  std::vector<std::string> request_ids() const;
  std::vector<std::string> session_keys() const;

  // The same for SessionService (fake_sessions.h).
  void ExpectSessionCalls(std::vector<FakeOutcome> outcomes);
  // "Method attn-session-id" of every call; "-" without that metadata.
  std::vector<std::string> session_calls() const;
  // The sessions that live.
  std::vector<std::string> session_ids() const;

  // The same for LayerService (fake_layers.h).
  void ExpectLayerCalls(std::vector<FakeOutcome> outcomes);
  std::vector<std::string> layer_calls() const;

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace attn::client
