#include "core/engine/forward_job.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "core/tensor/conversions.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/recording_metrics.h"
#include "tests/unit/core/engine/loop_layer.h"

namespace attn::test {
namespace {

using testing::HasSubstr;

class ForwardJobTest : public testing::Test {
 protected:
  ForwardJobTest() { StartEngine(2); }

  void StartEngine(int num_workers) {
    EngineOptions options;
    options.num_workers = num_workers;
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

  // Submits all at once and waits.
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

TEST_F(ForwardJobTest, OneTokenSeesItselfAlone) {
  const auto states = RandomStates(1, 1);
  // Attention of one key is its value: for both query heads.
  ScratchArena arena;
  std::vector<float> value(10);
  for (int64_t block = 0; block < layer_->value->num_blocks(); ++block) {
    ASSERT_TRUE(layer_->value
                    ->MultiplyBlock(block, 1, {states.data(), kLoopHidden},
                                    {value.data() + block * 6, 10}, arena)
                    .ok());
  }
  std::vector<float> heads = value;
  heads.insert(heads.end(), value.begin(), value.end());
  const auto output = Run(RequestFor(states));
  ASSERT_EQ(output.size(), 14u);
  std::vector<float> expected(14);
  for (int64_t block = 0; block < layer_->output->num_blocks(); ++block) {
    ASSERT_TRUE(layer_->output
                    ->MultiplyBlock(block, 1, {heads.data(), 20},
                                    {expected.data() + block * 6, 14}, arena)
                    .ok());
  }
  for (size_t i = 0; i < 14; ++i) EXPECT_NEAR(output[i], expected[i], 1e-5);
}

TEST_F(ForwardJobTest, TheBytesAreThoseOfTheRequestAlone) {
  std::vector<std::vector<float>> states;
  for (int64_t i = 0; i < 20; ++i) {
    states.push_back(RandomStates(1 + 7 * i % 60, static_cast<uint64_t>(i)));
  }
  std::vector<ForwardRequest> requests;
  for (const auto& s : states) requests.push_back(RequestFor(s));
  const auto together = RunAll(std::move(requests));
  for (size_t i = 0; i < states.size(); ++i) {
    ASSERT_TRUE(together[i]->status().ok());
    EXPECT_EQ(OutputOf(*together[i]), Run(RequestFor(states[i]))) << i;
  }
}

TEST_F(ForwardJobTest, JobsOfOneLayerShareProducts) {
  StartEngine(1);
  std::vector<std::vector<float>> states;
  for (uint64_t i = 0; i < 16; ++i) states.push_back(RandomStates(1, i));
  std::vector<ForwardRequest> requests;
  for (const auto& s : states) requests.push_back(RequestFor(s));
  RunAll(std::move(requests));
  const auto& query = static_cast<const LoopLinear&>(*layer_->query);
  const auto& output = static_cast<const LoopLinear&>(*layer_->output);
  EXPECT_EQ(query.num_calls(), query.num_blocks());
  EXPECT_EQ(output.num_calls(), output.num_blocks());
}

TEST_F(ForwardJobTest, ASessionTokenByTokenEqualsTheWhole) {
  constexpr int64_t kTokens = 70;  // More than a page.
  const auto states = RandomStates(kTokens, 3);
  const auto whole = Run(RequestFor(states));
  const SessionPtr session = MakeSession();
  for (int64_t i = 0; i < kTokens; ++i) {
    const std::vector<float> token(states.begin() + i * kLoopHidden,
                                   states.begin() + (i + 1) * kLoopHidden);
    ForwardRequest request = RequestFor(token);
    request.session = session;
    request.session_layer = 1;
    request.expected_length = i;
    request.append = {.hash_low = static_cast<uint64_t>(i)};
    const auto output = Run(std::move(request));
    for (size_t c = 0; c < 14; ++c) {
      EXPECT_NEAR(output[c], whole[static_cast<size_t>(i) * 14 + c], 1e-5)
          << i << " " << c;
    }
  }
}

TEST_F(ForwardJobTest, ContextGivesKeysAndValues) {
  const auto hidden = RandomStates(2, 4);
  const auto context = RandomStates(5, 5);
  ForwardRequest request = RequestFor(hidden);
  request.spec.context = SpecOf(context, 1);
  request.context = ReaderOf(context);
  request.spec.causal = CausalMode::kNone;
  const auto output = Run(std::move(request));
  // The same through a session that holds the context.
  const SessionPtr session = MakeSession();
  ForwardRequest fill = RequestFor(context);
  fill.session = session;
  Run(std::move(fill));
  ForwardRequest ask = RequestFor(hidden);
  ask.spec.context = {
      .is_present = true, .dtype = DataType::kF32, .dims = {1, 0, kLoopHidden}};
  ask.context = ReaderOf(context);
  ask.session = session;
  ask.spec.causal = CausalMode::kNone;
  ask.spec.positions = {0, 1};
  const auto of_session = Run(std::move(ask));
  for (size_t i = 0; i < output.size(); ++i) {
    EXPECT_NEAR(output[i], of_session[i], 1e-5) << i;
  }
}

TEST_F(ForwardJobTest, NoTokensGiveNoOutput) {
  const std::vector<float> none;
  ForwardRequest request;
  request.layer = layer_;
  request.spec.hidden = {
      .is_present = true, .dtype = DataType::kF32, .dims = {3, 0, kLoopHidden}};
  request.hidden = ReaderOf(none);
  EXPECT_TRUE(Run(std::move(request)).empty());
}

TEST_F(ForwardJobTest, F16IsRoundedOnce) {
  const auto states = RandomStates(4, 6);
  ForwardRequest request = RequestFor(states);
  request.spec.output.dtype = DataType::kF16;
  std::vector<ForwardRequest> requests;
  requests.push_back(std::move(request));
  const auto jobs = RunAll(std::move(requests));
  const auto exact = Run(RequestFor(states));
  std::vector<std::byte> expected(exact.size() * 2);
  ConvertFromF32(exact.data(), std::ssize(exact), DataType::kF16,
                 expected.data());
  ASSERT_EQ(jobs[0]->output_bytes(), std::ssize(expected));
  EXPECT_EQ(std::memcmp(jobs[0]->output(), expected.data(), expected.size()),
            0);
}

TEST_F(ForwardJobTest, EachJobIsCountedOnce) {
  Run(RequestFor(RandomStates(3, 7)));
  ASSERT_TRUE(engine_->AwaitIdle(clock_.Now() + std::chrono::seconds(10)));
  EXPECT_EQ(metrics_.admitted(), 1);
  EXPECT_EQ(metrics_.finished(Outcome::kCompleted), 1);
  EXPECT_EQ(metrics_.finished(), 1);
  EXPECT_THAT(metrics_.forward_tokens(),
              testing::ElementsAre(testing::Pair("loop/0", 3)));
  const AttentionLayer& layer = *layer_;
  EXPECT_EQ(metrics_.projections(),
            layer.query->num_blocks() + layer.key->num_blocks() +
                layer.value->num_blocks() + layer.output->num_blocks());
  EXPECT_EQ(engine_->admission().bytes(), 0);
  EXPECT_EQ(engine_->admission().queued_tasks(), 0);
}

TEST_F(ForwardJobTest, AFailedProductFailsTheJob) {
  const_cast<LoopLinear&>(static_cast<const LoopLinear&>(*layer_->output))
      .fails = true;
  const auto states = RandomStates(3, 8);
  std::vector<ForwardRequest> requests;
  requests.push_back(RequestFor(states));
  const auto jobs = RunAll(std::move(requests));
  EXPECT_EQ(jobs[0]->status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(metrics_.finished(Outcome::kFailed), 1);
}

TEST_F(ForwardJobTest, ACancelledJobEndsOnce) {
  const auto states = RandomStates(40, 9);
  for (int i = 0; i < 50; ++i) {
    auto job = PrepareForward(*engine_, RequestFor(states));
    ASSERT_TRUE(job.ok());
    absl::BlockingCounter left(1);
    SubmitForward(*job, [&left](ForwardJob&) { left.DecrementCount(); });
    CancelForward(*job);
    left.Wait();
    EXPECT_TRUE((*job)->status().ok() || absl::IsCancelled((*job)->status()));
  }
  ASSERT_TRUE(engine_->AwaitIdle(clock_.Now() + std::chrono::seconds(10)));
  EXPECT_EQ(metrics_.finished(), 50);
}

TEST_F(ForwardJobTest, TheDeadlineHolds) {
  const auto states = RandomStates(3, 10);
  ForwardRequest request = RequestFor(states);
  request.options.deadline = clock_.Now() - std::chrono::seconds(1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Refusal(std::move(request))));
}

TEST_F(ForwardJobTest, WhatTheSessionRefusesIsTheStatusAndAppendsNothing) {
  const auto states = RandomStates(3, 11);
  const SessionPtr session = MakeSession();
  ForwardRequest request = RequestFor(states);
  request.session = session;
  request.expected_length = 5;
  std::vector<ForwardRequest> requests;
  requests.push_back(std::move(request));
  const auto jobs = RunAll(std::move(requests));
  EXPECT_EQ(ReasonOf(jobs[0]->status()), Reason::kLengthMismatch);
  EXPECT_EQ(session->Lock(0)->length(), 0);
  EXPECT_EQ(metrics_.finished(), 1);
}

TEST_F(ForwardJobTest, ASessionOfOtherHeadsIsRefusedAtOnce) {
  const auto states = RandomStates(3, 12);
  ForwardRequest request = RequestFor(states);
  request.session = MakeSession(12);
  EXPECT_EQ(ReasonOf(Refusal(std::move(request))), Reason::kSpecMismatch);
}

TEST_F(ForwardJobTest, RefusalsNameTheField) {
  const auto states = RandomStates(4, 13);
  const auto expect = [&](const auto& change, const char* message) {
    ForwardRequest request = RequestFor(states);
    change(request);
    const absl::Status status = Refusal(std::move(request));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  };
  expect([](ForwardRequest& r) { r.spec.hidden.is_present = false; },
         "hidden is required; got nothing");
  expect(
      [](ForwardRequest& r) {
        r.spec.hidden.dims = {1, 5, 16};
      },
      "hidden.shape must be [B, length, hidden_dim = 20]; got [1, 5, 16]");
  expect([](ForwardRequest& r) { r.spec.hidden.dims = {80}; },
         "hidden.shape must be [B, length, hidden_dim = 20]; got [80]");
  expect(
      [](ForwardRequest& r) {
        r.spec.hidden.dtype = DataType::kF64;
        r.spec.hidden.dims = {1, 2, 20};
      },
      "hidden.dtype must be F32, F16 or BF16; got F64");
  expect(
      [](ForwardRequest& r) {
        r.spec.context = r.spec.hidden;
        r.spec.context.dims = {2, 2, 20};
      },
      "context.shape[0] must equal hidden.shape[0]; got 2 vs 1");
  expect([](ForwardRequest& r) { r.spec.causal = static_cast<CausalMode>(7); },
         "causal must be an enum number from 0 to 2; got 7");
  expect(
      [](ForwardRequest& r) {
        r.spec.positions = {1, 2};
      },
      "positions must be empty or have q_len = 4 entries; got 2");
  expect([](ForwardRequest& r) { r.spec.output.dtype = DataType::kF64; },
         "output.dtype must be F32, F16 or BF16; got F64");
  expect([](ForwardRequest& r) { r.spec.kv_lengths = {1, 2}; }, "kv_lengths");
  layer_->rope = nullptr;
  expect(
      [](ForwardRequest& r) {
        r.spec.positions = {1, 2, 3, 4};
      },
      "positions must be absent for a layer without rope; got 4 entries");
}

TEST_F(ForwardJobTest, TheReplyIsCheckedWithAllThatIsAskedFor) {
  const auto states = RandomStates(5, 15);
  for (const bool has_session : {false, true}) {
    ForwardRequest request = RequestFor(states);
    request.spec.output = {
        .return_lse = true, .weights = WeightsMode::kProbabilities, .top_k = 3};
    if (has_session) request.session = MakeSession();
    int64_t checked = 0;
    request.check_reply = [&checked](int64_t bytes) {
      checked = bytes;
      return absl::ResourceExhaustedError("too large");
    };
    EXPECT_TRUE(absl::IsResourceExhausted(Refusal(std::move(request))));
    // Output, and for each of two heads lse, weights, indices and their values.
    EXPECT_EQ(checked, 5 * 14 * 4 + 2 * 5 * (1 + 5 + 3 + 3) * 4);
  }
}

TEST_F(ForwardJobTest, NoNewJobOnceDraining) {
  engine_->StartDraining();
  EXPECT_TRUE(absl::IsUnavailable(Refusal(RequestFor(RandomStates(1, 14)))));
}

}  // namespace
}  // namespace attn::test
