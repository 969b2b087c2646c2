// ModelStreamInfer on the real server.
#include "gmock/gmock.h"
#include "tests/integration/inference_fixture.h"

namespace attn::test {
namespace {

using grpc::StatusCode;

using InferenceStreamTest = InferenceFixture;

InferRequest Numbered(int number, int64_t kv_len = 8) {
  CaseOptions options;
  options.kv_len = kv_len;
  options.seed = static_cast<uint64_t>(number) + 1;
  InferRequest request = ToInferRequest(MakeCase(options));
  request.set_id(std::to_string(number));
  return request;
}

InferRequest Bad(int number) {
  InferRequest request = Numbered(number);
  Set("speed", 1.0, request);
  return request;
}

TEST_F(InferenceStreamTest, AnswersInTheOrderOfTheRequests) {
  std::vector<InferRequest> requests;
  // Long ones first, so that short ones finish before them.
  for (int i = 0; i < 40; ++i) {
    requests.push_back(Numbered(i, i % 8 == 0 ? 4000 : 4));
  }
  const StreamEnd end = Stream(requests);
  EXPECT_TRUE(end.status.ok()) << end.status.error_message();
  ASSERT_EQ(end.responses.size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(end.responses[i].error_message(), "");
    EXPECT_EQ(end.responses[i].infer_response().id(), std::to_string(i));
    EXPECT_EQ(end.responses[i].infer_response().SerializeAsString(),
              MustInfer(requests[i]).SerializeAsString())
        << i;
  }
  EXPECT_EQ(Statistics("attention").inference_stats().success().count(),
            2 * requests.size());
}

TEST_F(InferenceStreamTest, ErrorsAreInBandAndTheStreamGoesOn) {
  const StreamEnd end = Stream({Numbered(0), Bad(1), Numbered(2)});
  EXPECT_TRUE(end.status.ok());
  ASSERT_EQ(end.responses.size(), 3u);
  EXPECT_EQ(end.responses[0].error_message(), "");
  EXPECT_EQ(end.responses[1].error_message(),
            "parameters.speed must be a parameter of the model; got 1");
  EXPECT_EQ(end.responses[1].infer_response().id(), "1");
  EXPECT_EQ(end.responses[1].infer_response().outputs_size(), 0);
  EXPECT_EQ(end.responses[2].error_message(), "");
  EXPECT_EQ(end.responses[2].infer_response().id(), "2");
}

TEST_F(InferenceStreamTest, OnDemandTheFirstErrorIsTheStatus) {
  std::vector<InferRequest> requests{Numbered(0), Bad(1)};
  for (int i = 2; i < 100; ++i) requests.push_back(Numbered(i, 4000));
  const StreamEnd end = Stream(requests, /*wants_status=*/true);
  EXPECT_EQ(end.status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(end.status.error_message(),
            "parameters.speed must be a parameter of the model; got 1");
  EXPECT_EQ(ReasonIn(end.status), "INVALID_OPTION");
  EXPECT_LE(end.responses.size(), 1u);
  EXPECT_TRUE(Stream({Numbered(0)}).status.ok()) << "the server lives on";
}

// A worker that has nothing to do waits so long for company.
class WaitingStreamTest : public InferenceFixture {
 protected:
  WaitingStreamTest() : InferenceFixture({"--max-batch-delay", "200ms"}) {}
};

TEST_F(WaitingStreamTest, LateFailureEndsTheStreamThoughItsClientIsSilent) {
  grpc::ClientContext context;
  context.AddMetadata("triton_grpc_error", "true");
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(20));
  const auto stream = stub_->ModelStreamInfer(&context);
  InferRequest late = Numbered(0);
  Set("timeout", int64_t{50'000}, late);
  ASSERT_TRUE(stream->Write(late));
  StreamResponse response;
  EXPECT_FALSE(stream->Read(&response)) << "without WritesDone";
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(status.error_message(), "the deadline passed")
      << "in the queue, and not that of the call";
}

TEST_F(InferenceStreamTest, CancelledStreamFreesItsRequests) {
  {
    grpc::ClientContext context;
    const auto stream = stub_->ModelStreamInfer(&context);
    for (int i = 0; i < 20; ++i) stream->Write(Numbered(i, 20000));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), StatusCode::CANCELLED);
  }
  for (int i = 0; i < 2000; ++i) {
    const auto metrics = server_.Metrics();
    if (metrics.Sum("attn_admitted_tasks_total") ==
            metrics.Sum("attn_tasks_total") &&
        metrics.Sum("attn_inflight_bytes") == 0) {
      return;
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  ADD_FAILURE() << "requests are still under way";
}

}  // namespace
}  // namespace attn::test
