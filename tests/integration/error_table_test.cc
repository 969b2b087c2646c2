// Rows of the error table (proto/README.md) from the real server; those of
// sessions are in session_test.cc and snapshot_test.cc.
#include <string>

#include "absl/synchronization/blocking_counter.h"
#include "attn/v1/attention.pb.h"
#include "attn/v1/session.pb.h"
#include "client/cpp/error_details.h"
#include "client/cpp/transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"
#include "tests/support/random.h"

namespace attn::test {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

client::AttendRequest Valid() { return ToRequest(MakeCase({})); }

class ErrorTableTest : public testing::Test {
 protected:
  absl::Status Attend(const client::AttendRequest& request) {
    return client_->Attend(request).status();
  }

  // Attend with bytes as they are.
  absl::Status SendRaw(const std::string& bytes) {
    v1::AttendResponse reply;
    return CallRaw(*transport_, "/attn.v1.AttentionService/Attend", bytes,
                   reply);
  }

  ServerProcess server_{
      {"--max-request-bytes", "1MiB", "--max-reply-bytes", "1MiB"}};
  std::unique_ptr<client::Client> client_ = server_.NewClient();
  std::unique_ptr<client::Transport> transport_ =
      *client::Transport::Create({.address = server_.grpc_address()});
};

TEST_F(ErrorTableTest, InvalidTensorNamesFieldRuleAndNumbers) {
  client::AttendRequest request = Valid();
  request.key = client::Tensor::Own(client::DType::kF32, {1, 2, 8, 15},
                                    std::string(1 * 2 * 8 * 15 * 4, '\0'));
  const absl::Status status = Attend(request);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "key.shape[3] must equal query.shape[3]; got 15 vs 16");
  EXPECT_EQ(client::ErrorReason(status), "INVALID_TENSOR");
  const auto violations = client::FieldViolations(status);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "key.shape[3]");
}

TEST_F(ErrorTableTest, InvalidOptionNamesFieldRuleAndNumbers) {
  client::AttendRequest request = Valid();
  request.params.softcap = -2;
  const absl::Status status = Attend(request);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "params.softcap must be finite and not negative; got -2");
  EXPECT_EQ(client::ErrorReason(status), "INVALID_OPTION");
}

TEST_F(ErrorTableTest, UnknownSessionIsNotFoundWithItsReason) {
  client::AttendRequest request = Valid();
  request.session = client::SessionRef{.session_id = "s"};
  const absl::Status status = Attend(request);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "session_id s names no session");
  EXPECT_EQ(client::ErrorReason(status), "SESSION_NEVER_EXISTED");
}

TEST_F(ErrorTableTest, RequestBeyondTheLimitIsTooLargeWithTheNumbers) {
  client::AttendRequest request = Valid();
  request.key = client::Tensor::Own(client::DType::kF32, {1, 2, 10240, 16},
                                    std::string(1310720, '\0'));
  const absl::Status status = Attend(request);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(client::ErrorReason(status), "REQUEST_TOO_LARGE");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("must be at most 1048576 bytes; got 13"));
}

TEST_F(ErrorTableTest, RequestBeyondTheTransportGuardIsResourceExhausted) {
  client::AttendRequest request = Valid();
  request.key = client::Tensor::Own(client::DType::kF32, {1, 2, 24576, 16},
                                    std::string(3145728, '\0'));
  EXPECT_EQ(Attend(request).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(Attend(Valid()).ok()) << "the channel stays usable";
}

TEST_F(ErrorTableTest, ReplyBeyondTheLimitIsTooLarge) {
  CaseOptions options;
  options.q_len = options.kv_len = 700;
  options.output.weights = WeightsMode::kProbabilities;
  const absl::Status status = Attend(ToRequest(MakeCase(options)));
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(client::ErrorReason(status), "REQUEST_TOO_LARGE");
}

TEST_F(ErrorTableTest, PassedDeadlineIsDeadlineExceeded) {
  // Takes 10 ms: gRPC counts milliseconds, and a faster one may be answered.
  CaseOptions options;
  options.q_len = options.kv_len = 600;
  options.dtype = DataType::kF64;
  const auto response = client_->Attend(ToRequest(MakeCase(options)),
                                        {.deadline = absl::Nanoseconds(1)});
  EXPECT_EQ(response.status().code(), StatusCode::kDeadlineExceeded);
}

TEST_F(ErrorTableTest, GarbageIsInvalidArgument) {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(static_cast<size_t>(random.Between(1, 200)), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    const absl::Status status = SendRaw(bytes);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
  }
  EXPECT_TRUE(Attend(Valid()).ok());
}

TEST_F(ErrorTableTest, EveryTruncationIsAnswered) {
  v1::AttendRequest request;
  for (auto* tensor : {request.mutable_query(), request.mutable_key(),
                       request.mutable_value()}) {
    tensor->set_dtype(v1::DATA_TYPE_F32);
    for (int axis = 0; axis < 4; ++axis) tensor->add_shape(1);
    tensor->set_data("\0\0\0\0", 4);
  }
  const std::string bytes = request.SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(SendRaw(bytes.substr(0, size)).code(),
              StatusCode::kInvalidArgument)
        << size;
  }
  EXPECT_TRUE(SendRaw(bytes).ok());
}

TEST_F(ErrorTableTest, LyingShapesCostNoMemory) {
  const int64_t before = server_.ResidentBytes();
  v1::AttendRequest request;
  auto& query = *request.mutable_query();
  query.set_dtype(v1::DATA_TYPE_F32);
  for (const int64_t dim : {1, 1 << 20, 1 << 20, 1 << 20}) query.add_shape(dim);
  query.set_data("tiny");
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(SendRaw(request.SerializeAsString()).code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_LT(server_.ResidentBytes() - before, 64 << 20);
}

TEST_F(ErrorTableTest, TooManyBatchItemsFailTheCall) {
  v1::AttendBatchRequest batch;
  for (int i = 0; i < 4097; ++i) batch.add_requests();
  v1::AttendBatchResponse reply;
  const absl::Status status =
      CallRaw(*transport_, "/attn.v1.AttentionService/AttendBatch",
              batch.SerializeAsString(), reply);
  EXPECT_EQ(status.message(),
            "requests must have at most 4096 entries; got more");
}

TEST_F(ErrorTableTest, RefusalsAreCountedAndAreNoTasks) {
  client::AttendRequest request = Valid();
  request.params.softcap = -2;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Attend(request).ok());
  const attnctl::MetricSet metrics = server_.Metrics();
  EXPECT_EQ(metrics.Sum("attn_refused_total", {{"reason", "INVALID_OPTION"}}),
            3);
  EXPECT_EQ(metrics.Sum("attn_admitted_tasks_total"), 0);
  EXPECT_EQ(metrics.Sum("grpc_server_handled_total",
                        {{"grpc_code", "InvalidArgument"}}),
            3);
}

// It takes a worker longer than others take to arrive.
client::AttendRequest LongRequest() {
  CaseOptions options;
  options.num_q_heads = options.num_kv_heads = 8;
  options.q_len = options.kv_len = 2000;
  options.head_dim = options.value_head_dim = 64;
  return ToRequest(MakeCase(options));
}

TEST(OverloadTest, FullQueueRefusesItemsOfABatch) {
  ServerProcess server({"--max-queue-tasks", "1", "--workers", "1"});
  const auto client = server.NewClient();
  const std::vector<client::AttendRequest> requests(8, LongRequest());
  const auto results = client->AttendBatch(requests);
  ASSERT_TRUE(results.ok()) << results.status();
  int num_refused = 0;
  for (const client::AttendResult& result : *results) {
    if (result.status.ok()) continue;
    EXPECT_EQ(result.status.code(), StatusCode::kResourceExhausted);
    ++num_refused;
  }
  EXPECT_GE(num_refused, 1);
  EXPECT_LT(num_refused, 8);
  EXPECT_EQ(
      server.Metrics().Sum("attn_refused_total", {{"reason", "QUEUE_FULL"}}),
      num_refused);
}

TEST(OverloadTest, UnaryQueueFullCarriesRetryInfo) {
  ServerProcess server({"--max-queue-tasks", "1", "--workers", "1"});
  const auto client = server.NewClient();
  const client::AttendRequest request = LongRequest();
  std::vector<absl::Status> statuses(6);
  absl::BlockingCounter left(6);
  for (absl::Status& status : statuses) {
    client->AttendAsync(request, [&](const auto& response) {
      status = response.status();
      left.DecrementCount();
    });
  }
  left.Wait();
  int num_refused = 0;
  for (const absl::Status& status : statuses) {
    if (status.ok()) continue;
    ++num_refused;
    EXPECT_EQ(client::ErrorReason(status), "QUEUE_FULL");
    ASSERT_TRUE(client::RetryDelay(status).has_value());
    EXPECT_GT(*client::RetryDelay(status), absl::ZeroDuration());
  }
  EXPECT_GE(num_refused, 1);
}

}  // namespace
}  // namespace attn::test
