// Sequences of a layer's model on the real server: the bytes and the errors of
// LayerService.Forward with a session.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "tests/integration/inference_layer_fixture.h"

namespace attn::test {
namespace {

using client::SessionSpec;
using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

// Of llama/0.
constexpr SessionSpec kSpec{.num_layers = 1, .num_kv_heads = 2, .head_dim = 8};

// -1: it names none.
int64_t LengthIn(const InferResponse& response) {
  const auto found = response.parameters().find("session_length");
  return found == response.parameters().end() ? -1
                                              : found->second.int64_param();
}

class InferenceLayerSequenceTest : public InferenceLayerFixture {
 protected:
  explicit InferenceLayerSequenceTest(
      const std::vector<std::string>& flags = {})
      : InferenceLayerFixture(flags) {}

  // `rows` rows on session `id`.
  v1::ForwardRequest Native(int64_t rows, const std::string& id) const {
    v1::ForwardRequest forward =
        server_.Request(rows, static_cast<uint64_t>(rows));
    forward.mutable_output()->set_return_lse(true);
    forward.mutable_session()->set_session_id(id);
    return forward;
  }
  // The same as a step of sequence 7.
  InferRequest Step(int64_t rows, bool is_start, bool is_end = false) const {
    InferRequest request = ToInfer(Native(rows, ""));
    Set("sequence_id", int64_t{7}, request);
    Set("sequence_start", is_start, request);
    Set("sequence_end", is_end, request);
    return request;
  }
  void MakeSession(const std::string& id, const SessionSpec& spec = kSpec) {
    const auto made = client_->CreateSession(spec, id);
    ASSERT_TRUE(made.ok()) << made.status();
  }
  // Both answer the same bytes, and have `length` tokens then.
  void ExpectSame(const InferRequest& step, const v1::ForwardRequest& native,
                  int64_t length) {
    const InferResponse response = MustInfer(step);
    const v1::ForwardResponse expected = MustForward(native);
    EXPECT_EQ(RawOutput(response, "output"), expected.output().data());
    EXPECT_EQ(RawOutput(response, "lse"), expected.lse().data());
    EXPECT_EQ(LengthIn(response), length);
    EXPECT_EQ(expected.session_length(), static_cast<uint64_t>(length));
  }
  // Both are refused, with the same words.
  void ExpectSameRefusal(const InferRequest& step,
                         const v1::ForwardRequest& native, StatusCode code,
                         const std::string& reason) {
    const grpc::Status status = Refusal(step);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_EQ(ReasonIn(status), reason) << status.error_message();
    EXPECT_EQ(status.error_message(),
              server_.Forward(native).status().message());
  }
  int64_t NumSessions() {
    return static_cast<int64_t>(
        server_.process().Metrics().Sum("attn_sessions"));
  }

  std::unique_ptr<client::Client> client_ = server_.process().NewClient();
};

TEST_F(InferenceLayerSequenceTest, AnswersTheBytesOfForwardOnASession) {
  MakeSession("native");
  int64_t length = 0;
  for (const int64_t rows : {20, 1, 1, 44, 7}) {
    length += rows;
    SCOPED_TRACE(length);
    ExpectSame(Step(rows, length == rows, length == 73), Native(rows, "native"),
               length);
  }
  EXPECT_EQ(NumSessions(), 1) << "the sequence has ended, the session not";
}

TEST_F(InferenceLayerSequenceTest, AForkGoesOnFromThere) {
  MakeSession("native");
  ExpectSame(Step(9, /*is_start=*/true), Native(9, "native"), 9);
  ASSERT_TRUE(client_->ForkSession("7", "fork").ok());
  ASSERT_TRUE(client_->ForkSession("native", "native-fork").ok());
  InferRequest step = Step(2, /*is_start=*/false);
  Set("sequence_id", "fork", step);
  ExpectSame(step, Native(2, "native-fork"), 11);
  ExpectSame(Step(3, /*is_start=*/false), Native(3, "native"), 12);
}

TEST_F(InferenceLayerSequenceTest, KeysAndValuesComeFromContext) {
  MakeSession("native");
  InferRequest step = Step(3, /*is_start=*/true);
  v1::ForwardRequest native = Native(3, "native");
  *native.mutable_context() = ToTensor(HiddenRows(5, 32, 2), {1, 5, 32});
  AddTensor("context", native.context(), step);
  ExpectSame(step, native, 5);
  // Nothing more of it: the queries see what is there.
  step = Step(1, /*is_start=*/false);
  native = Native(1, "native");
  *native.mutable_context() = ToTensor({}, {1, 0, 32});
  AddTensor("context", native.context(), step);
  ExpectSame(step, native, 5);
}

TEST_F(InferenceLayerSequenceTest, TheStartSaysWhatTheSessionIs) {
  SessionSpec spec = kSpec;
  spec.num_layers = 2;
  spec.kv_dtype = client::KvDtype::kInt8;
  spec.window = 64;
  spec.max_length = 1000;
  MakeSession("native", spec);
  InferRequest start = Step(70, /*is_start=*/true);
  Set("num_layers", int64_t{2}, start);
  Set("kv_dtype", "int8", start);
  Set("window", int64_t{64}, start);
  Set("max_length", int64_t{1000}, start);
  ExpectSame(start, Native(70, "native"), 70);
  // The model's other layer on the session's.
  InferRequest other = Step(3, /*is_start=*/false);
  other.set_model_name("layer:llama/1");
  Set("layer", int64_t{1}, other);
  v1::ForwardRequest native = Native(3, "native");
  native.set_layer("llama/1");
  native.mutable_session()->set_layer(1);
  ExpectSame(other, native, 3);
  const auto session = client_->GetSession("7");
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_THAT(session->layer_lengths, ElementsAre(70, 3));
  EXPECT_EQ(session->spec.num_kv_heads, 2u);
  EXPECT_EQ(session->spec.head_dim, 8u);
  EXPECT_EQ(session->spec.value_head_dim, 8u);
  EXPECT_EQ(session->spec.kv_dtype, client::KvDtype::kInt8);
  EXPECT_EQ(session->spec.window, 64u);
  EXPECT_EQ(session->spec.max_length, 1000u);
}

TEST_F(InferenceLayerSequenceTest, StartRestartsALivingSequence) {
  const std::string once =
      MustInfer(Step(5, /*is_start=*/true)).SerializeAsString();
  EXPECT_EQ(LengthIn(MustInfer(Step(2, /*is_start=*/false))), 7);
  EXPECT_EQ(MustInfer(Step(5, /*is_start=*/true)).SerializeAsString(), once);
  EXPECT_EQ(NumSessions(), 1);
}

TEST_F(InferenceLayerSequenceTest, RefusedStartNeitherBeginsNorEnds) {
  std::vector<InferRequest> bad(5, Step(5, /*is_start=*/true));
  bad[0].mutable_inputs(0)->set_shape(1, 4);
  Set("max_length", int64_t{4}, bad[1]);
  Set("expected_length", int64_t{3}, bad[2]);
  Set("layer", int64_t{1}, bad[3]);
  Set("window", int64_t{-1}, bad[4]);
  for (const InferRequest& request : bad) {
    EXPECT_FALSE(Refusal(request).ok());
    EXPECT_EQ(NumSessions(), 0);
  }
  EXPECT_EQ(ReasonIn(Refusal(bad[1])), "MAX_LENGTH");
  EXPECT_EQ(ReasonIn(Refusal(bad[2])), "LENGTH_MISMATCH");
  EXPECT_EQ(ReasonIn(Refusal(bad[3])), "SPEC_MISMATCH");
  MustInfer(Step(5, /*is_start=*/true));
  for (const InferRequest& request : bad) EXPECT_FALSE(Refusal(request).ok());
  EXPECT_EQ(LengthIn(MustInfer(Step(1, /*is_start=*/false))), 6)
      << "the living one lives on";
}

TEST_F(InferenceLayerSequenceTest, RefusedEndDoesNotEnd) {
  MustInfer(Step(5, /*is_start=*/true));
  InferRequest bad = Step(1, /*is_start=*/false, /*is_end=*/true);
  Set("expected_length", int64_t{3}, bad);
  EXPECT_EQ(ReasonIn(Refusal(bad)), "LENGTH_MISMATCH");
  MustInfer(Step(1, /*is_start=*/false, /*is_end=*/true));
  EXPECT_EQ(NumSessions(), 0);
  const grpc::Status gone = Refusal(Step(1, /*is_start=*/false));
  EXPECT_EQ(gone.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonIn(gone), "SESSION_DELETED");
  EXPECT_EQ(LengthIn(MustInfer(Step(5, true, true))), 5) << "all in one";
  EXPECT_EQ(NumSessions(), 0);
}

TEST_F(InferenceLayerSequenceTest, ExpectedLengthMakesRepeatsHarmless) {
  MustInfer(Step(5, /*is_start=*/true));
  InferRequest step = Step(2, /*is_start=*/false);
  Set("expected_length", int64_t{5}, step);
  const std::string once = MustInfer(step).SerializeAsString();
  EXPECT_EQ(MustInfer(step).SerializeAsString(), once);
  // Forward of the same is the same append.
  v1::ForwardRequest native = Native(2, "7");
  native.mutable_session()->set_expected_length(5);
  EXPECT_EQ(MustForward(native).session_length(), 7u);
  *native.mutable_hidden() = server_.Request(2, 9).hidden();
  InferRequest other = ToInfer(native);
  *other.mutable_parameters() = step.parameters();
  ExpectSameRefusal(other, native, StatusCode::FAILED_PRECONDITION,
                    "LENGTH_MISMATCH");
}

TEST_F(InferenceLayerSequenceTest, ErrorsAreThoseOfForward) {
  ExpectSameRefusal(Step(5, /*is_start=*/false), Native(5, "7"),
                    StatusCode::NOT_FOUND, "SESSION_NEVER_EXISTED");
  SessionSpec wide = kSpec;
  wide.head_dim = 16;
  MakeSession("7", wide);
  ExpectSameRefusal(Step(5, /*is_start=*/false), Native(5, "7"),
                    StatusCode::FAILED_PRECONDITION, "SPEC_MISMATCH");
  MustInfer(Step(5, /*is_start=*/true));
  InferRequest step = Step(5, /*is_start=*/false);
  v1::ForwardRequest native = Native(5, "7");
  Set("layer", int64_t{1}, step);
  native.mutable_session()->set_layer(1);
  ExpectSameRefusal(step, native, StatusCode::FAILED_PRECONDITION,
                    "SPEC_MISMATCH");
  native = Native(4, "7");
  *native.mutable_hidden() = ToTensor(HiddenRows(4, 32, 1), {2, 2, 32});
  step = ToInfer(native);
  Set("sequence_id", int64_t{7}, step);
  ExpectSameRefusal(step, native, StatusCode::INVALID_ARGUMENT,
                    "INVALID_TENSOR");
  step = Step(5, /*is_start=*/true);
  Set("sequence_id", "no/such name", step);
  EXPECT_THAT(Refusal(step).error_message(), HasSubstr("session_id"));
}

// As Triton's clients say that there is none.
TEST_F(InferenceLayerSequenceTest, SequenceZeroIsNone) {
  v1::ForwardRequest native = Native(4, "");
  native.clear_session();
  const std::string expected = MustForward(native).output().data();
  InferRequest request = Step(4, /*is_start=*/false);
  Set("sequence_id", int64_t{0}, request);
  const InferResponse response = MustInfer(request);
  EXPECT_EQ(RawOutput(response, "output"), expected);
  EXPECT_EQ(LengthIn(response), -1);
  Set("sequence_id", "", request);
  EXPECT_EQ(RawOutput(MustInfer(request), "output"), expected);
  EXPECT_EQ(NumSessions(), 0);
}

// Later ones are more urgent, and would overtake.
TEST_F(InferenceLayerSequenceTest, StreamTakesStepsInTheirOrder) {
  constexpr int64_t kSteps = 40;
  MakeSession("native");
  std::vector<InferRequest> steps;
  std::vector<std::string> expected;
  for (int64_t i = 0; i < kSteps; ++i) {
    const int64_t rows = 1 + i % 3;
    expected.push_back(MustForward(Native(rows, "native")).output().data());
    for (const int64_t id : {7, 8}) {
      steps.push_back(Step(rows, i == 0, i == kSteps - 1));
      Set("sequence_id", id, steps.back());
      Set("priority", i < kSteps / 2 ? int64_t{3} : int64_t{1}, steps.back());
    }
  }
  const StreamEnd end = StreamAll(*stub_, steps);
  ASSERT_TRUE(end.status.ok()) << end.status.error_message();
  ASSERT_EQ(end.responses.size(), steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(end.responses[i].error_message(), "") << i;
    EXPECT_EQ(RawOutput(end.responses[i].infer_response(), "output"),
              expected[i / 2])
        << i;
  }
  EXPECT_EQ(NumSessions(), 1) << "both have ended";
}

TEST_F(InferenceLayerSequenceTest, AStreamMayWaitForEachAnswer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::minutes(1));
  const auto stream = stub_->ModelStreamInfer(&context);
  for (int64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(stream->Write(Step(1, i == 0)));
    StreamResponse response;
    ASSERT_TRUE(stream->Read(&response)) << i;
    EXPECT_EQ(LengthIn(response.infer_response()), i + 1);
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(InferenceLayerSequenceTest, StatisticsCountSteps) {
  MustInfer(Step(5, /*is_start=*/true));
  MustInfer(Step(1, /*is_start=*/false));
  InferRequest late = Step(1, /*is_start=*/false);
  Set("expected_length", int64_t{3}, late);
  EXPECT_FALSE(Refusal(late).ok());
  inference::ModelStatisticsRequest request;
  request.set_name("layer:llama/0");
  inference::ModelStatisticsResponse response;
  ASSERT_TRUE(Call(&Stub::ModelStatistics, request, response).ok());
  ASSERT_EQ(response.model_stats_size(), 1);
  const auto& stats = response.model_stats(0).inference_stats();
  EXPECT_EQ(stats.success().count(), 2u);
  EXPECT_EQ(stats.fail().count(), 1u);
}

class ShortLivedSequenceTest : public InferenceLayerSequenceTest {
 protected:
  ShortLivedSequenceTest()
      : InferenceLayerSequenceTest({"--session-idle-ttl", "1s"}) {}
};

TEST_F(ShortLivedSequenceTest, IdleSequencesExpire) {
  MustInfer(Step(5, /*is_start=*/true));
  // A look does not prolong its life.
  while (client_->GetSession("7").ok()) absl::SleepFor(absl::Milliseconds(10));
  ExpectSameRefusal(Step(1, /*is_start=*/false), Native(1, "7"),
                    StatusCode::NOT_FOUND, "SESSION_EXPIRED");
}

}  // namespace
}  // namespace attn::test
