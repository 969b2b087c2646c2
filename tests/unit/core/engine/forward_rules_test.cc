// What is refused of a forward request, with which words, and when.
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/engine/forward_job_fixture.h"

namespace attn::test {
namespace {

using testing::HasSubstr;

using ForwardRulesTest = ForwardJobTest;

TEST_F(ForwardRulesTest, TheDeadlineHolds) {
  const auto states = RandomStates(3, 10);
  ForwardRequest request = RequestFor(states);
  request.options.deadline = clock_.Now() - std::chrono::seconds(1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Refusal(std::move(request))));
}

TEST_F(ForwardRulesTest, WhatTheSessionRefusesIsTheStatusAndAppendsNothing) {
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

// Not after it has waited and was projected.
TEST_F(ForwardRulesTest, WhatNoLengthDecidesIsCheckedBeforeTheSessionsTurn) {
  const auto states = RandomStates(3, 16);
  const auto expect = [&](const auto& change, const char* message) {
    ForwardRequest request = RequestFor(states);
    request.session = MakeSession();
    change(request);
    EXPECT_EQ(std::string(Refusal(std::move(request)).message()), message);
  };
  expect([](ForwardRequest& r) { r.spec.kv_lengths = {3}; },
         "kv_lengths must be absent with a session; got 1 entries");
  expect([](ForwardRequest& r) { r.spec.output.top_k = 1025; },
         "output.top_k must be at most 1024; got 1025");
  expect([](ForwardRequest& r) { r.spec.positions = {1}; },
         "positions must be empty or have q_len = 3 entries; got 1");
  expect([](ForwardRequest& r) { r.session_layer = 2; },
         "session.layer must be below the session's num_layers; got 2 vs 2");
}

TEST_F(ForwardRulesTest, ASessionOfOtherHeadsIsRefusedAtOnce) {
  const auto states = RandomStates(3, 12);
  ForwardRequest request = RequestFor(states);
  request.session = MakeSession(12);
  const absl::Status status = Refusal(std::move(request));
  EXPECT_EQ(ReasonOf(status), Reason::kSpecMismatch);
  EXPECT_EQ(std::string(status.message()),
            "layer's head_dim must equal the session's 12; got 10");
}

// Its session may be longer by then.
TEST_F(ForwardRulesTest, AMaskThatIsTooLongIsRefusedInItsTurn) {
  const auto states = RandomStates(3, 17);
  const std::vector<float> mask(4, 0.0f);
  ForwardRequest request = RequestFor(states);
  request.session = MakeSession();
  request.spec.attn_mask = {.is_present = true,
                            .dtype = DataType::kF32,
                            .dims = {4},
                            .data_bytes = 16};
  request.attn_mask = ReaderOf(mask);
  std::vector<ForwardRequest> requests;
  requests.push_back(std::move(request));
  EXPECT_EQ(std::string(RunAll(std::move(requests))[0]->status().message()),
            "attn_mask.shape[0] must be at most kv_len 3; got 4 in [4]");
}

TEST_F(ForwardRulesTest, RefusalsNameTheField) {
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
  expect(
      [](ForwardRequest& r) {
        r.spec.hidden.dtype = DataType::kF16;
        r.spec.hidden.dims = {1, 8, 20};
        r.spec.attn_mask = {.is_present = true,
                            .dtype = DataType::kBF16,
                            .dims = {8},
                            .data_bytes = 16};
      },
      "attn_mask.dtype must be BOOL, F32 or hidden.dtype F16; got BF16");
  expect(
      [](ForwardRequest& r) {
        r.spec.hidden.dtype = DataType::kF16;
        r.spec.hidden.dims = {1, 8, 20};
        r.spec.attn_mask = {.is_present = true,
                            .dtype = DataType::kF16,
                            .dims = {8},
                            .data_bytes = 15};
      },
      "attn_mask.data must hold 16 bytes (shape [8] of F16); got 15");
  expect([](ForwardRequest& r) { r.spec.causal = static_cast<CausalMode>(7); },
         "causal must be an enum number from 0 to 2; got 7");
  expect(
      [](ForwardRequest& r) {
        r.spec.positions = {1, 2};
      },
      "positions must be empty or have q_len = 4 entries; got 2");
  expect([](ForwardRequest& r) { r.spec.output.dtype = DataType::kF64; },
         "output.dtype must be F32, F16 or BF16; got F64 (4)");
  expect([](ForwardRequest& r) { r.spec.kv_lengths = {1, 2}; }, "kv_lengths");
  layer_->rope = nullptr;
  expect(
      [](ForwardRequest& r) {
        r.spec.positions = {1, 2, 3, 4};
      },
      "positions must be absent for a layer without rope; got 4 entries");
}

TEST_F(ForwardRulesTest, TheReplyIsCheckedWithAllThatIsAskedFor) {
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

TEST_F(ForwardRulesTest, TheRepliesBoundIsOnTheAnswerNotOnAttentionsOutput) {
  const auto states = RandomStates(5, 18);
  for (const bool has_session : {false, true}) {
    const auto with_limit = [&](int64_t bytes) {
      ForwardRequest request = RequestFor(states);
      request.spec.output.dtype = DataType::kF16;
      if (has_session) request.session = MakeSession();
      request.limits.max_reply_bytes = bytes;
      return request;
    };
    Run(with_limit(5 * 14 * 2));
    EXPECT_EQ(std::string(Refusal(with_limit(5 * 14 * 2 - 1)).message()),
              "the reply's tensors must be at most 139 bytes; got 140");
  }
}

TEST_F(ForwardRulesTest, WhatTheReplyHasGrownByIsCheckedInItsTurn) {
  const auto states = RandomStates(5, 20);
  const SessionPtr session = MakeSession();
  const auto on_session = [&] {
    ForwardRequest request = RequestFor(states);
    request.session = session;
    request.spec.output.weights = WeightsMode::kProbabilities;
    return request;
  };
  std::vector<int64_t> checked;
  ForwardRequest request = on_session();
  request.check_reply = [&checked](int64_t bytes) {
    checked.push_back(bytes);
    return checked.size() == 1 ? absl::OkStatus()
                               : absl::ResourceExhaustedError("too large");
  };
  const auto job = PrepareForward(*engine_, std::move(request));
  ASSERT_TRUE(job.ok()) << job.status();
  Run(on_session());  // Overtakes it.
  absl::BlockingCounter left(1);
  SubmitForward(*job, [&left](ForwardJob&) { left.DecrementCount(); });
  left.Wait();
  EXPECT_TRUE(absl::IsResourceExhausted((*job)->status()));
  EXPECT_EQ(session->Lock(0)->length(), 5);
  // Five keys more for each of two heads and five rows.
  EXPECT_THAT(checked,
              testing::ElementsAre(5 * 14 * 4 + 2 * 5 * 5 * 4, 2 * 5 * 5 * 4));
}

TEST_F(ForwardRulesTest, TheReplyOfARepeatIsThatOfTheFirstTime) {
  const auto states = RandomStates(5, 19);
  const SessionPtr session = MakeSession();
  for (int i = 0; i < 2; ++i) {
    ForwardRequest request = RequestFor(states);
    request.session = session;
    request.expected_length = 0;
    request.spec.output.weights = WeightsMode::kProbabilities;
    request.limits.max_reply_bytes = 5 * 14 * 4 + 2 * 5 * 5 * 4;
    Run(std::move(request));
  }
}

TEST_F(ForwardRulesTest, NoNewJobOnceDraining) {
  engine_->StartDraining();
  EXPECT_TRUE(absl::IsUnavailable(Refusal(RequestFor(RandomStates(1, 14)))));
}

}  // namespace
}  // namespace attn::test
