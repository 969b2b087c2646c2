#include "tests/support/layer_runner.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "absl/synchronization/blocking_counter.h"
#include "core/base/check.h"
#include "core/tensor/conversions.h"

namespace attn::test {
namespace {

ReadBytes ReaderOf(const std::vector<std::byte>& data) {
  return [&data](int64_t offset, int64_t bytes, std::byte* to) {
    if (bytes > 0) {
      std::memcpy(to, data.data() + offset, static_cast<size_t>(bytes));
    }
  };
}

// Nothing is refused for the time it would wait.
EngineOptions Patient(EngineOptions options) {
  options.admission.max_queue_wait = std::chrono::hours(1);
  return options;
}

absl::StatusOr<LayerAnswer> AnswerOf(const ForwardJob& job) {
  if (!job.status().ok()) return job.status();
  const int64_t bytes =
      NumElements(job.output_dims()).value() * ElementBytes(job.output_dtype());
  return LayerAnswer{
      .output = {job.output(), job.output() + bytes},
      .dtype = job.output_dtype(),
      .session_length = job.attention().plan().has_session
                            ? job.attention().plan().geometry.kv_len
                            : 0};
}

}  // namespace

std::vector<double> LayerAnswer::Values() const {
  const auto n = static_cast<int64_t>(output.size()) / ElementBytes(dtype);
  std::vector<double> values(static_cast<size_t>(n));
  ConvertToF64(dtype, output.data(), n, values.data());
  return values;
}

LayerRunner::LayerRunner(int num_workers, EngineOptions options)
    : store_(SessionLimits{}, {.pool = pool_,
                               .clock = clock_,
                               .metrics = metrics_,
                               .random = [this] { return next_random_++; }}),
      engine_(num_workers, Patient(options)) {}

SessionPtr LayerRunner::CreateSession(const AttentionLayer& layer,
                                      KvDtype dtype) {
  auto made = store_.Create(tenant_, "",
                            {.num_layers = 1,
                             .num_kv_heads = layer.num_kv_heads,
                             .head_dim = layer.head_dim,
                             .value_head_dim = layer.head_dim,
                             .kv_dtype = dtype});
  ATTN_CHECK(made.ok());
  return *made;
}

absl::StatusOr<ForwardJobPtr> LayerRunner::Prepare(const LayerCall& call) {
  const LayerCase& request = *call.request;
  return PrepareForward(engine(), {.layer = call.layer,
                                   .spec = request.spec,
                                   .hidden = ReaderOf(request.hidden),
                                   .context = ReaderOf(request.context),
                                   .attn_mask = ReaderOf(request.mask),
                                   .session = call.session,
                                   .append = {.hash_low = next_append_++}});
}

std::vector<absl::StatusOr<LayerAnswer>> LayerRunner::RunTogether(
    const std::vector<LayerCall>& calls) {
  std::vector<absl::StatusOr<ForwardJobPtr>> jobs;
  absl::BlockingCounter left(static_cast<int>(calls.size()));
  std::vector<ForwardSubmission> together;
  for (const LayerCall& call : calls) {
    jobs.push_back(Prepare(call));
    if (jobs.back().ok()) {
      together.push_back(
          {*jobs.back(), [&left](ForwardJob&) { left.DecrementCount(); }});
    } else {
      left.DecrementCount();
    }
  }
  SubmitForwardTogether(std::move(together));
  left.Wait();
  std::vector<absl::StatusOr<LayerAnswer>> answers;
  for (const auto& job : jobs) {
    answers.push_back(job.ok() ? AnswerOf(**job) : job.status());
  }
  return answers;
}

absl::StatusOr<LayerAnswer> LayerRunner::Run(const AttentionLayerPtr& layer,
                                             const LayerCase& request,
                                             const SessionPtr& session) {
  return RunTogether({{layer, &request, session}}).front();
}

}  // namespace attn::test
