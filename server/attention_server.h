// The whole server, wired: engine, services, metrics, HTTP endpoint, and the
// gRPC server on top. main makes one; integration tests make many.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "server/config.h"
#include "server/log.h"

namespace attn {

// Thread-safe.
class AttentionServer {
 public:
  // Listens and serves. Borrows log and clock, which must outlive it.
  // INVALID_ARGUMENT for addresses that are none, UNAVAILABLE for a port that
  // is taken, FAILED_PRECONDITION on a CPU without AVX2. CANCELLED once
  // `is_wanted` says no: it is asked before each layer that is loaded.
  static absl::StatusOr<std::unique_ptr<AttentionServer>> Start(
      const ServerConfig& config, const Log& log, const Clock& clock,
      const std::function<bool()>& is_wanted = [] { return true; });

  // Ends at once what still runs.
  virtual ~AttentionServer() = default;

  // The addresses in use, with the ports that were picked.
  virtual std::string grpc_address() const = 0;
  virtual std::string http_address() const = 0;

  // The drain, step by step (server/drain.h).
  virtual void BecomeUnready() = 0;
  virtual void RefuseCalls() = 0;
  virtual void ShutDown(Duration grace) = 0;
};

// The version of this build, e.g. "0.1.0".
std::string ServerVersion();

}  // namespace attn
