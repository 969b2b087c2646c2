// Runs requests to attention layers through a real engine and waits for their
// answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/engine/forward_job.h"
#include "core/kv_cache/session_store.h"
#include "core/layer/attention_layer.h"
#include "tests/support/engine_runner.h"
#include "tests/support/layer_case.h"

namespace attn::test {

struct LayerAnswer {
  std::vector<std::byte> output = {};
  DataType dtype = DataType::kF32;
  int64_t session_length = 0;

  std::vector<double> Values() const;
};

// One request of several; `session` null: stateless. Borrows the case.
struct LayerCall {
  AttentionLayerPtr layer = {};
  const LayerCase* request = nullptr;
  SessionPtr session = {};
};

// An engine of `num_workers`, and a store for sessions.
class LayerRunner {
 public:
  explicit LayerRunner(int num_workers = 2, EngineOptions options = {});

  absl::StatusOr<LayerAnswer> Run(const AttentionLayerPtr& layer,
                                  const LayerCase& request,
                                  const SessionPtr& session = {});
  // Submitted together, so that they share products as far as they may.
  std::vector<absl::StatusOr<LayerAnswer>> RunTogether(
      const std::vector<LayerCall>& calls);

  // Of the layer's sizes.
  SessionPtr CreateSession(const AttentionLayer& layer,
                           KvDtype dtype = KvDtype::kF32);

  // A job that is not submitted yet.
  absl::StatusOr<ForwardJobPtr> Prepare(const LayerCall& call);

  Engine& engine() { return engine_.engine(); }

 private:
  SteadyClock clock_;
  NullSessionMetrics metrics_;
  uint64_t next_random_ = 1;
  uint64_t next_append_ = 1;
  Tenant tenant_{"", 0, {}};
  PagePool pool_{int64_t{1} << 30};
  SessionStore store_;
  EngineRunner engine_;
};

}  // namespace attn::test
