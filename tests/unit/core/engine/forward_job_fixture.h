// Jobs on a layer of plain loops, for tests of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "core/engine/forward_job.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/recording_metrics.h"
#include "tests/unit/core/engine/loop_layer.h"

namespace attn::test {

class ForwardJobTest : public testing::Test {
 protected:
  ForwardJobTest() { StartEngine(2); }

  void StartEngine(int num_workers, const BatchLimits& batching = {}) {
    EngineOptions options;
    options.num_workers = num_workers;
    options.batching = batching;
    engine_.reset();
    engine_ = std::make_unique<Engine>(options, MakePortableTileGemm(), clock_,
                                       metrics_);
  }

  static std::vector<float> RandomStates(int64_t num_tokens, uint64_t seed) {
    Random random(seed);
    std::vector<float> states(static_cast<size_t>(num_tokens * kLoopHidden));
    for (float& x : states) x = static_cast<float>(random.Gaussian());
    return states;
  }

  static TensorSpec SpecOf(const std::vector<float>& states, int64_t batch) {
    const auto size = std::ssize(states);
    return {.is_present = true,
            .dtype = DataType::kF32,
            .dims = {batch, size / kLoopHidden / batch, kLoopHidden},
            .data_bytes = size * 4};
  }

  static ReadBytes ReaderOf(const std::vector<float>& values) {
    return [&values](int64_t offset, int64_t bytes, std::byte* to) {
      const auto* all = reinterpret_cast<const std::byte*>(values.data());
      std::copy_n(all + offset, bytes, to);
    };
  }

  ForwardRequest RequestFor(const std::vector<float>& states,
                            int64_t batch = 1) {
    ForwardRequest request;
    request.layer = layer_;
    request.spec.hidden = SpecOf(states, batch);
    request.hidden = ReaderOf(states);
    return request;
  }

  static std::vector<float> OutputOf(const ForwardJob& job) {
    const auto* output = reinterpret_cast<const float*>(job.output());
    return {output, output + job.output_bytes() / 4};
  }

  // Submits all at once and waits. REQUIRES: none is refused.
  std::vector<ForwardJobPtr> RunAll(std::vector<ForwardRequest> requests) {
    std::vector<ForwardJobPtr> jobs;
    std::vector<ForwardSubmission> submissions;
    absl::BlockingCounter left(static_cast<int>(requests.size()));
    for (ForwardRequest& request : requests) {
      auto job = PrepareForward(*engine_, std::move(request));
      EXPECT_TRUE(job.ok()) << job.status();
      jobs.push_back(*job);
      submissions.push_back(
          {*std::move(job), [&left](ForwardJob&) { left.DecrementCount(); }});
    }
    SubmitForwardTogether(std::move(submissions));
    left.Wait();
    return jobs;
  }

  std::vector<float> Run(ForwardRequest request) {
    std::vector<ForwardRequest> requests;
    requests.push_back(std::move(request));
    const auto jobs = RunAll(std::move(requests));
    EXPECT_TRUE(jobs[0]->status().ok()) << jobs[0]->status();
    return OutputOf(*jobs[0]);
  }

  absl::Status Refusal(ForwardRequest request) {
    return PrepareForward(*engine_, std::move(request)).status();
  }

  SessionPtr MakeSession(int64_t head_dim = 10) {
    return std::make_shared<Session>(Session::Name{tenant_, "s"},
                                     KvSpec{.num_layers = 2,
                                            .num_kv_heads = 1,
                                            .head_dim = head_dim,
                                            .value_head_dim = head_dim,
                                            .kv_dtype = KvDtype::kF32,
                                            .max_length = 1000,
                                            .idle_ttl = std::chrono::hours(1)},
                                     pages_, clock_.Now());
  }

  SteadyClock clock_;
  RecordingMetrics metrics_;
  Tenant tenant_{"", 0, {}};
  PagePool pages_{int64_t{64} << 20};
  std::shared_ptr<AttentionLayer> layer_ = MakeLoopLayer();
  std::unique_ptr<Engine> engine_;
};

}  // namespace attn::test
