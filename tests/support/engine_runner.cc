#include "tests/support/engine_runner.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "core/base/check.h"

namespace attn::test {
namespace {

void CopyTo(std::byte* to, const std::vector<std::byte>& from) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

void CopyFrom(const std::byte* from, std::vector<std::byte>& to) {
  if (!to.empty()) std::memcpy(to.data(), from, to.size());
}

}  // namespace

void CopyInputs(const AttentionCase& c, AttentionTask& task) {
  CopyTo(task.query(), c.query);
  if (!task.plan().has_session) {
    CopyTo(task.key(), c.key);
    CopyTo(task.value(), c.value);
  }
  CopyTo(task.mask(), c.mask);
  CopyTo(task.cos(), c.cos);
  CopyTo(task.sin(), c.sin);
}

AttentionOutputs CopyOutputs(const AttentionTask& task) {
  AttentionOutputs outputs(task.plan());
  CopyFrom(task.output(), outputs.output);
  CopyFrom(task.lse(), outputs.lse);
  CopyFrom(task.weights(), outputs.weights);
  CopyFrom(task.top_indices(), outputs.top_indices);
  CopyFrom(task.top_probabilities(), outputs.top_probabilities);
  return outputs;
}

EngineRunner::EngineRunner(int num_workers, EngineOptions options) {
  options.num_workers = num_workers;
  options.admission.num_workers = num_workers;
  engine_ = std::make_unique<Engine>(options, MakeTileGemm(Isa::kAuto), clock_,
                                     metrics_);
}

std::vector<absl::StatusOr<AttentionOutputs>> EngineRunner::Run(
    const std::vector<const AttentionCase*>& cases,
    const SubmitOptions& options) {
  std::vector<absl::StatusOr<AttentionOutputs>> results(
      cases.size(), absl::UnknownError("not done"));
  absl::BlockingCounter left(static_cast<int>(cases.size()));
  for (size_t i = 0; i < cases.size(); ++i) {
    auto task = engine_->Prepare(cases[i]->plan, options);
    if (!task.ok()) {
      results[i] = task.status();
      left.DecrementCount();
      continue;
    }
    CopyInputs(*cases[i], **task);
    engine_->Submit(*task,
                    [&results, &left, i, &task = **task](EngineTask& done) {
                      if (done.status().ok()) {
                        results[i] = CopyOutputs(task);
                      } else {
                        results[i] = done.status();
                      }
                      left.DecrementCount();
                    });
  }
  left.Wait();
  return results;
}

AttentionOutputs EngineRunner::RunOne(const AttentionCase& attention_case) {
  auto results = Run({&attention_case});
  ATTN_CHECK(results[0].ok());
  return *std::move(results[0]);
}

void EngineRunner::SubmitAndWait(const AttentionTaskPtr& task) {
  absl::Notification done;
  engine_->Submit(task, [&done](EngineTask&) { done.Notify(); });
  done.WaitForNotification();
}

}  // namespace attn::test
