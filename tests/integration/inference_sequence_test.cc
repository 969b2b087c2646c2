// The model attention_kv of the real server: sequences are sessions.
#include "gmock/gmock.h"
#include "tests/integration/inference_fixture.h"
#include "tests/integration/wire_case.h"
#include "tests/support/session_runner.h"

namespace attn::test {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kLength = 70;

class InferenceSequenceTest : public InferenceFixture {
 protected:
  static AttentionCase Whole() {
    CaseOptions options;
    options.num_q_heads = 4;
    options.q_len = options.kv_len = kLength;
    options.value_head_dim = 24;
    options.params.causal = CausalMode::kTopLeft;
    options.params.rope = RopeParams{.base = 10000};
    return MakeCase(options);
  }

  // Tokens [first, first + n) as a step of sequence 7.
  InferRequest Step(int64_t first, int64_t n, bool is_start,
                    bool is_end = false) const {
    InferRequest request =
        ToInferRequest(CutTokens(whole_, first, n), "attention_kv");
    Set("sequence_id", int64_t{7}, request);
    Set("sequence_start", is_start, request);
    Set("sequence_end", is_end, request);
    return request;
  }

  grpc::Status StatusOf(const InferRequest& request) {
    InferResponse response;
    return Infer(request, response);
  }

  int64_t NumSessions() {
    return static_cast<int64_t>(server_.Metrics().Sum("attn_sessions"));
  }

  std::unique_ptr<client::Client> client_ = server_.NewClient();
  const AttentionCase whole_ = Whole();
};

int64_t LengthIn(const InferResponse& response) {
  return response.parameters().at("session_length").int64_param();
}

TEST_F(InferenceSequenceTest, AnswersTheBytesOfANativeSession) {
  ASSERT_TRUE(client_
                  ->CreateSession({.num_layers = 1,
                                   .num_kv_heads = 2,
                                   .head_dim = 16,
                                   .value_head_dim = 24},
                                  "native")
                  .ok());
  int64_t first = 0;
  for (const int64_t n : {20, 1, 1, 48}) {
    client::AttendRequest native = ToRequest(CutTokens(whole_, first, n));
    native.session = client::SessionRef{.session_id = "native"};
    const auto expected = client_->Attend(native);
    ASSERT_TRUE(expected.ok()) << expected.status();
    const InferResponse response =
        MustInfer(Step(first, n, first == 0, first + n == kLength));
    EXPECT_EQ(RawOutput(response, "Y"), expected->output.bytes()) << first;
    first += n;
    EXPECT_EQ(LengthIn(response), first);
  }
  EXPECT_EQ(NumSessions(), 1) << "the sequence has ended, the session not";
}

TEST_F(InferenceSequenceTest, StepWithoutKeysAttendsToWhatIsThere) {
  MustInfer(Step(0, 5, /*is_start=*/true));
  InferRequest look = Step(5, 1, /*is_start=*/false);
  look.mutable_inputs()->DeleteSubrange(1, 2);
  look.mutable_raw_input_contents()->DeleteSubrange(1, 2);
  EXPECT_EQ(LengthIn(MustInfer(look)), 5);
}

TEST_F(InferenceSequenceTest, SequenceIsASessionOfItsName) {
  MustInfer(Step(0, 5, /*is_start=*/true));
  const auto session = client_->GetSession("7");
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_THAT(session->layer_lengths, ElementsAre(5));
  EXPECT_EQ(session->spec.num_kv_heads, 2u);
  EXPECT_EQ(session->spec.head_dim, 16u);
  EXPECT_EQ(session->spec.value_head_dim, 24u);
  ASSERT_TRUE(client_->ForkSession("7", "fork").ok());
  InferRequest step = Step(5, 1, /*is_start=*/false);
  Set("sequence_id", "fork", step);
  EXPECT_EQ(LengthIn(MustInfer(step)), 6) << "a native session is a sequence";
}

TEST_F(InferenceSequenceTest, LayersAndFormComeWithTheStart) {
  InferRequest start = Step(0, 5, /*is_start=*/true);
  Set("num_layers", int64_t{2}, start);
  Set("kv_dtype", "bf16", start);
  MustInfer(start);
  InferRequest other = Step(0, 3, /*is_start=*/false);
  Set("layer", int64_t{1}, other);
  EXPECT_EQ(LengthIn(MustInfer(other)), 3);
  const auto session = client_->GetSession("7");
  EXPECT_THAT(session->layer_lengths, ElementsAre(5, 3));
  EXPECT_EQ(session->spec.kv_dtype, client::KvDtype::kBf16);
}

TEST_F(InferenceSequenceTest, StartRestartsALivingSequence) {
  MustInfer(Step(0, 5, /*is_start=*/true));
  EXPECT_EQ(LengthIn(MustInfer(Step(0, 2, /*is_start=*/true))), 2);
  EXPECT_EQ(NumSessions(), 1);
}

TEST_F(InferenceSequenceTest, RefusedStartNeitherBeginsNorEnds) {
  InferRequest bad = Step(0, 5, /*is_start=*/true);
  Set("softcap", -1.0, bad);
  EXPECT_EQ(StatusOf(bad).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(NumSessions(), 0);
  MustInfer(Step(0, 5, /*is_start=*/true));
  EXPECT_EQ(StatusOf(bad).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(LengthIn(MustInfer(Step(5, 1, /*is_start=*/false))), 6)
      << "the living one lives on";
}

TEST_F(InferenceSequenceTest, RefusedEndDoesNotEnd) {
  MustInfer(Step(0, 5, /*is_start=*/true));
  InferRequest bad = Step(5, 1, /*is_start=*/false, /*is_end=*/true);
  Set("softcap", -1.0, bad);
  EXPECT_EQ(StatusOf(bad).error_code(), StatusCode::INVALID_ARGUMENT);
  MustInfer(Step(5, 1, /*is_start=*/false, /*is_end=*/true));
  const grpc::Status gone = StatusOf(Step(6, 1, /*is_start=*/false));
  EXPECT_EQ(gone.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonIn(gone), "SESSION_DELETED");
}

TEST_F(InferenceSequenceTest, OneRequestMayBeAllOfASequence) {
  EXPECT_EQ(LengthIn(MustInfer(Step(0, 5, true, true))), 5);
  EXPECT_EQ(NumSessions(), 0);
}

TEST_F(InferenceSequenceTest, ExpectedLengthMakesRepeatsHarmless) {
  MustInfer(Step(0, 5, /*is_start=*/true));
  InferRequest step = Step(5, 1, /*is_start=*/false);
  Set("expected_length", int64_t{5}, step);
  const std::string once = MustInfer(step).SerializeAsString();
  EXPECT_EQ(MustInfer(step).SerializeAsString(), once);
  Set("expected_length", int64_t{3}, step);
  const grpc::Status status = StatusOf(step);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonIn(status), "LENGTH_MISMATCH");
}

TEST_F(InferenceSequenceTest, ErrorsAreTyped) {
  const grpc::Status unknown = StatusOf(Step(0, 5, /*is_start=*/false));
  EXPECT_EQ(unknown.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonIn(unknown), "SESSION_NEVER_EXISTED");
  MustInfer(Step(0, 5, /*is_start=*/true));
  InferRequest layer = Step(5, 1, /*is_start=*/false);
  Set("layer", int64_t{1}, layer);
  EXPECT_EQ(ReasonIn(StatusOf(layer)), "SPEC_MISMATCH");
  InferRequest id = Step(0, 5, /*is_start=*/true);
  Set("sequence_id", "no/such name", id);
  EXPECT_THAT(StatusOf(id).error_message(), HasSubstr("session_id"));
  InferRequest batch = ToInferRequest(
      [] {
        CaseOptions options;
        options.batch_size = 2;
        return MakeCase(options);
      }(),
      "attention_kv");
  Set("sequence_id", int64_t{8}, batch);
  Set("sequence_start", true, batch);
  EXPECT_EQ(StatusOf(batch).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(NumSessions(), 1);
}

TEST_F(InferenceSequenceTest, StreamTakesStepsInTheirOrder) {
  std::vector<InferRequest> steps;
  for (int64_t i = 0; i < 40; ++i) {
    steps.push_back(Step(i, 1, i == 0, i == 39));
  }
  const StreamEnd end = Stream(steps);
  ASSERT_TRUE(end.status.ok());
  ASSERT_EQ(end.responses.size(), 40u);
  for (int64_t i = 0; i < 40; ++i) {
    const auto& response = end.responses[static_cast<size_t>(i)];
    EXPECT_EQ(response.error_message(), "");
    EXPECT_EQ(LengthIn(response.infer_response()), i + 1);
  }
  EXPECT_EQ(NumSessions(), 0);
}

}  // namespace
}  // namespace attn::test
