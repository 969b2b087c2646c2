// What a service of the fake server (fake_server.h) was told to do, and who
// called it.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "tests/unit/client/fake_server.h"

namespace attn::client {

// Thread-safe.
class FakeCalls {
 public:
  // What the next calls of any method do, in order.
  void Expect(std::vector<FakeOutcome> outcomes);

  // "Method attn-session-id" of every call, failed ones included; "-" without
  // that metadata.
  std::vector<std::string> made() const;

  // Records a call; its status is the outcome that was expected, else OK.
  grpc::Status Enter(const char* method, const grpc::ServerContext& context);

 private:
  mutable absl::Mutex mutex_;
  std::deque<FakeOutcome> outcomes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> made_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn::client
