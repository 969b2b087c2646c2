// Runs cases through a real engine and waits for their results.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/engine/engine.h"
#include "tests/support/attention_case.h"

namespace attn::test {

// An engine of `num_workers` with generous limits, on the real clock.
class EngineRunner {
 public:
  explicit EngineRunner(int num_workers, EngineOptions options = {});

  // Submits all cases at once and waits. Each result is the outputs, or the
  // error with which it ended.
  std::vector<absl::StatusOr<AttentionOutputs>> Run(
      const std::vector<const AttentionCase*>& cases,
      const SubmitOptions& options = {});

  AttentionOutputs RunOne(const AttentionCase& attention_case);

  // Submits a prepared task and waits for its end.
  void SubmitAndWait(const AttentionTaskPtr& task);

  Engine& engine() { return *engine_; }

 private:
  SteadyClock clock_;
  NullEngineMetrics metrics_;
  std::unique_ptr<Engine> engine_;
};

// Copies the case's tensors into a prepared task.
void CopyInputs(const AttentionCase& attention_case, AttentionTask& task);

// What a finished task computed.
AttentionOutputs CopyOutputs(const AttentionTask& task);

}  // namespace attn::test
