// Attend, AttendBatch and AttendStream of the real server through the real
// client: right answers, the same bytes whichever way they came.
#include <map>
#include <string>

#include "client/cpp/attend_stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"
#include "tests/support/comparison.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using testing::ElementsAre;

class AttendTest : public testing::Test {
 protected:
  AttentionOutputs AttendAlone(const AttentionCase& c) {
    const auto response = client_->Attend(ToRequest(c));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? ToOutputs(c, *response) : AttentionOutputs(c.plan);
  }

  // A machine with other work may be slow; no test here is about QUEUE_FULL.
  ServerProcess server_{{"--max-queue-wait", "1m"}};
  std::unique_ptr<client::Client> client_ = server_.NewClient();
};

CaseOptions SmallOptions(uint64_t seed = 1) {
  CaseOptions options;
  options.q_len = 20;
  options.kv_len = 30;
  options.num_q_heads = 4;
  options.seed = seed;
  return options;
}

TEST_F(AttendTest, AnswersEveryLayoutAndDtypeWithinTheBound) {
  for (const Layout layout :
       {Layout::kUnspecified, Layout::kBHSD, Layout::kBSHD, Layout::kBSE}) {
    for (const DataType dtype :
         {DataType::kF32, DataType::kF16, DataType::kBF16}) {
      CaseOptions options = SmallOptions();
      options.layout = layout;
      options.dtype = dtype;
      options.batch_size = 2;
      options.value_head_dim = 24;
      options.output.return_lse = true;
      options.output.weights = WeightsMode::kProbabilities;
      const AttentionCase c = MakeCase(options);
      EXPECT_EQ(CompareWithReference(c, AttendAlone(c)), "");
    }
  }
}

TEST_F(AttendTest, TracedCallsAreAnsweredInTrailingMetadata) {
  const std::string trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  client::Metadata trailers;
  const client::CallOptions traced{
      .metadata = {{"traceparent", "00-" + trace_id + "-00f067aa0ba902b7-01"}},
      .trailing_metadata = &trailers};
  const client::AttendRequest request = ToRequest(MakeCase(SmallOptions()));
  const auto is_answered =
      testing::AllOf(testing::Contains(testing::Pair(
                         "traceparent", testing::HasSubstr(trace_id))),
                     testing::Contains(testing::Pair(
                         "server-timing", testing::HasSubstr("total;dur="))));
  ASSERT_TRUE(client_->Attend(request, traced).ok());
  EXPECT_THAT(trailers, is_answered);
  trailers.clear();
  const auto stream = client_->OpenStream(traced);
  stream->Write(request);
  stream->WritesDone();
  ASSERT_TRUE(stream->Read().has_value());
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_THAT(trailers, is_answered);
  trailers.clear();
  EXPECT_FALSE(client_->GetSession("nobody", traced).ok());
  EXPECT_THAT(trailers, is_answered);
}

TEST_F(AttendTest, ResponseCarriesShapesIdAndTimes) {
  CaseOptions options = SmallOptions();
  options.output.return_lse = true;
  client::AttendRequest request = ToRequest(MakeCase(options));
  request.request_id = "a request";
  const auto response = client_->Attend(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->request_id, "a request");
  EXPECT_THAT(response->output.shape(), ElementsAre(1, 4, 20, 16));
  EXPECT_THAT(response->lse.shape(), ElementsAre(1, 4, 20));
  EXPECT_FALSE(response->weights.present());
  EXPECT_EQ(response->session_length, 0u);
  const client::Timing& timing = response->timing;
  EXPECT_GT(timing.compute, absl::ZeroDuration());
  EXPECT_LE(timing.queue + timing.compute, timing.total);
  EXPECT_EQ(timing.batch_size, 1u);
}

TEST_F(AttendTest, ExplicitEmptyLengthsAreLegal) {
  CaseOptions no_rows = SmallOptions();
  no_rows.q_len = 0;
  no_rows.output.return_lse = true;
  const auto empty = client_->Attend(ToRequest(MakeCase(no_rows)));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT(empty->output.shape(), ElementsAre(1, 4, 0, 16));
  EXPECT_EQ(empty->output.bytes().size(), 0u);

  CaseOptions no_keys = SmallOptions();
  no_keys.kv_len = 0;
  no_keys.output.return_lse = true;
  const AttentionCase c = MakeCase(no_keys);
  EXPECT_EQ(CompareWithReference(c, AttendAlone(c)), "");
}

TEST_F(AttendTest, BatchItemsAnswerForThemselvesInOrder) {
  std::vector<AttentionCase> cases;
  std::vector<client::AttendRequest> requests;
  for (uint64_t i = 0; i < 8; ++i) {
    cases.push_back(MakeCase(SmallOptions(i)));
    requests.push_back(ToRequest(cases.back()));
    requests.back().request_id = std::to_string(i);
  }
  requests[3].layout = static_cast<client::Layout>(77);
  const auto results = client_->AttendBatch(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    const client::AttendResult& result = (*results)[i];
    EXPECT_EQ(result.response.request_id, std::to_string(i));
    if (i == 3) {
      EXPECT_EQ(result.status.message(),
                "layout must be an enum number from 0 to 3; got 77");
      EXPECT_FALSE(result.response.output.present());
      continue;
    }
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_TRUE(ToOutputs(cases[i], result.response) == AttendAlone(cases[i]));
  }
}

TEST_F(AttendTest, EmptyBatchGivesNoResults) {
  const auto results = client_->AttendBatch({});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE(results->empty());
}

TEST_F(AttendTest, StreamAnswersEveryMessageAndEndsWell) {
  constexpr int kMessages = 600;  // More than the server lets be under way.
  const AttentionCase c = MakeCase(SmallOptions());
  const AttentionOutputs alone = AttendAlone(c);
  const auto stream = client_->OpenStream();
  std::map<std::string, int> answers;
  client::AttendRequest request = ToRequest(c);
  int num_read = 0;
  for (int i = 0; i < kMessages; ++i) {
    request.request_id = std::to_string(i);
    request.num_q_heads = i == 5 ? 99 : 0;
    ASSERT_TRUE(stream->Write(request));
    if (i < 100) continue;
    const auto result = stream->Read();
    ASSERT_TRUE(result.has_value());
    ++num_read;
    ++answers[result->response.request_id];
    if (result->response.request_id == "5") {
      EXPECT_EQ(result->status.code(), absl::StatusCode::kInvalidArgument);
    } else {
      ASSERT_TRUE(result->status.ok()) << result->status;
      EXPECT_TRUE(ToOutputs(c, result->response) == alone);
    }
  }
  stream->WritesDone();
  while (const auto result = stream->Read()) {
    ++num_read;
    ++answers[result->response.request_id];
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(num_read, kMessages);
  EXPECT_EQ(answers.size(), static_cast<size_t>(kMessages));
}

TEST_F(AttendTest, StreamWithoutMessagesEndsWell) {
  const auto stream = client_->OpenStream();
  stream->WritesDone();
  EXPECT_FALSE(stream->Read().has_value());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(AttendTest, CancelledStreamLeavesNothingBehind) {
  CaseOptions options = SmallOptions();
  options.q_len = options.kv_len = Scaled(1500, 200);
  const client::AttendRequest request = ToRequest(MakeCase(options));
  {
    const auto stream = client_->OpenStream();
    for (int i = 0; i < 20; ++i) stream->Write(request);
    stream->Cancel();
    EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
  }
  // The server is idle once it takes new work and the books are closed.
  for (int i = 0; i < 2000; ++i) {
    const attnctl::MetricSet metrics = server_.Metrics();
    if (metrics.Sum("attn_tasks_total") ==
            metrics.Sum("attn_admitted_tasks_total") &&
        metrics.Sum("attn_inflight_bytes") == 0) {
      return;
    }
  }
  FAIL() << server_.Get("/metrics");
}

TEST(MaxIsaTest, Avx2AnswersWithinTheBoundAndSaysSo) {
  const ServerProcess server({"--max-isa", "avx2"});
  CaseOptions options = SmallOptions();
  options.q_len = options.kv_len = 300;
  const AttentionCase c = MakeCase(options);
  const auto response = server.NewClient()->Attend(ToRequest(c));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(CompareWithReference(c, ToOutputs(c, *response)), "");
  EXPECT_THAT(server.Get("/statusz?format=json"),
              testing::HasSubstr("\"isa\":\"AVX2 "));
}

}  // namespace
}  // namespace attn::test
