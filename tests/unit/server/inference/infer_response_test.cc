#include "server/inference/infer_response.h"

#include <cstring>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.pb.h"
#include "tests/unit/server/reply_bytes.h"

namespace attn::test {
namespace {

using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;
using testing::ElementsAre;

class InferResponseTest : public testing::Test {
 protected:
  // As the engine leaves it: output [1, 2, q_len, 3] F16 and everything else.
  AttendOutcome Finished(int64_t q_len = 1) {
    AttentionPlan plan;
    plan.geometry = {.batch_size = 1,
                     .num_q_heads = 2,
                     .num_kv_heads = 1,
                     .q_len = q_len,
                     .kv_len = 4,
                     .head_dim = 1,
                     .value_head_dim = 3};
    plan.output_dtype = DataType::kF16;
    plan.output = {
        .return_lse = true, .weights = WeightsMode::kProbabilities, .top_k = 2};
    plan.output_bytes = 12 * q_len;
    plan.lse_bytes = 8 * q_len;
    plan.weights_bytes = 32 * q_len;
    plan.top_bytes = 16 * q_len;
    AttentionTask::Buffers buffers;
    buffers.reply = *pool_.Lease(AttentionTask::ReplyBytes(plan) + 1);
    std::memset(buffers.reply.data(), 'r',
                static_cast<size_t>(AttentionTask::ReplyBytes(plan)));
    return {.request_id = "id-7",
            .task = std::make_shared<AttentionTask>(
                plan, TaskFacts{}, AdmissionTicket(), std::move(buffers))};
  }

  BufferPool pool_{1 << 20};
};

const InferReplyOptions kAllBackwards{
    .model = InferModel::kAttention,
    .model_name = "attention",
    .outputs = {InferOutput::kTopProbabilities, InferOutput::kTopIndices,
                InferOutput::kWeights, InferOutput::kLse, InferOutput::kY}};

TEST_F(InferResponseTest, OutputsAndBytesAreInTheOrderThatWasAskedFor) {
  const AttendOutcome outcome = Finished();
  const Reply reply = EncodeInferResponse(outcome, kAllBackwards);
  ModelInferResponse response;
  ASSERT_TRUE(response.ParseFromString(Join(reply)));
  EXPECT_EQ(response.id(), "id-7");
  EXPECT_EQ(response.model_name(), "attention");
  EXPECT_EQ(response.model_version(), "1");
  std::vector<std::string> outputs;
  std::vector<size_t> sizes;
  for (int i = 0; i < response.outputs_size(); ++i) {
    outputs.push_back(response.outputs(i).name() + " " +
                      response.outputs(i).datatype());
    sizes.push_back(response.raw_output_contents(i).size());
  }
  EXPECT_THAT(outputs,
              ElementsAre("top_probabilities FP32", "top_indices INT32",
                          "weights FP32", "LSE FP32", "Y FP16"));
  EXPECT_THAT(sizes, ElementsAre(16, 16, 32, 8, 12));
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, 2, 1, 2));
  EXPECT_THAT(response.outputs(2).shape(), ElementsAre(1, 2, 1, 4));
  EXPECT_THAT(response.outputs(3).shape(), ElementsAre(1, 2, 1));
  EXPECT_THAT(response.outputs(4).shape(), ElementsAre(1, 2, 1, 3));
}

TEST_F(InferResponseTest, TensorsAreBorrowed) {
  const AttendOutcome outcome = Finished();
  const Reply reply = EncodeInferResponse(outcome, kAllBackwards);
  int borrowed = 0;
  for (const ReplyChunk& chunk : reply) {
    borrowed += chunk.data != nullptr && chunk.owner == outcome.task ? 1 : 0;
  }
  EXPECT_EQ(borrowed, 5);
}

TEST_F(InferResponseTest, EmptyOutputsKeepTheirEntries) {
  ModelInferResponse response;
  ASSERT_TRUE(response.ParseFromString(
      Join(EncodeInferResponse(Finished(/*q_len=*/0), kAllBackwards))));
  EXPECT_EQ(response.outputs_size(), 5);
  EXPECT_THAT(response.raw_output_contents(), ElementsAre("", "", "", "", ""));
}

TEST_F(InferResponseTest, StreamWrapsIt) {
  const AttendOutcome outcome = Finished();
  ModelStreamInferResponse response;
  ASSERT_TRUE(response.ParseFromString(Join(
      EncodeStreamInferResponse(EncodeInferResponse(outcome, kAllBackwards)))));
  EXPECT_EQ(response.error_message(), "");
  EXPECT_EQ(response.infer_response().SerializeAsString(),
            Join(EncodeInferResponse(outcome, kAllBackwards)));
}

TEST_F(InferResponseTest, StreamErrorsCarryTheIdAndAlwaysAMessage) {
  ModelStreamInferResponse response;
  ASSERT_TRUE(response.ParseFromString(Join(EncodeStreamInferError(
      {.status = InvalidOption("id", "must be short", "x"),
       .request_id = "id-7"}))));
  EXPECT_EQ(response.error_message(), "id must be short; got x");
  EXPECT_EQ(response.infer_response().id(), "id-7");
  ASSERT_TRUE(response.ParseFromString(
      Join(EncodeStreamInferError({.status = absl::CancelledError("")}))));
  EXPECT_EQ(response.error_message(), "CANCELLED");
}

}  // namespace
}  // namespace attn::test
