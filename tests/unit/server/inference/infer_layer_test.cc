// ModelInferRequests for the model of a layer.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/inference/infer_request.h"
#include "tests/unit/server/inference/infer_message.h"

namespace attn::test {
namespace {

using inference::ModelInferRequest;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ModelInferRequest LayerRequest() {
  ModelInferRequest request;
  request.set_model_name("layer:llama/3");
  request.set_id("id-7");
  AddInput("hidden", "FP32", {1, 1, 2}, "hhhhHHHH", request);
  return request;
}

void Set(const std::string& name, const std::string& text,
         ModelInferRequest& request) {
  (*request.mutable_parameters())[name].set_string_param(text);
}

std::string RefusalOf(const ModelInferRequest& request) {
  const absl::Status status = DecodeStatus(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(InferLayerTest, EveryPartIsAForwardRequests) {
  ModelInferRequest request = LayerRequest();
  AddInput("context", "FP32", {1, 2, 2}, "ccccCCCCccccCCCC", request);
  AddInput("attn_mask", "BOOL", {2}, "mM", request);
  AddInput("kv_lengths", "INT64", {1}, std::string("\2\0\0\0\0\0\0\0", 8),
           request);
  Set("causal", "bottom_right", request);
  Set("causal_offset", "-3", request);
  Set("positions", "7", request);
  Set("output_dtype", "bf16", request);
  Set("weights", "biased", request);
  Set("top_k", "2", request);
  Set("priority", "1", request);
  Set("timeout", "5", request);
  const std::string text = request.SerializeAsString();
  for (size_t fragment = 1; fragment <= text.size(); ++fragment) {
    const InferMessage message(text, fragment);
    const DecodedInfer decoded = message.Decode();
    const DecodedForward& forward = decoded.forward;
    ASSERT_TRUE(forward.status.ok()) << forward.status;
    EXPECT_EQ(forward.request_id, "id-7");
    EXPECT_EQ(forward.layer, "llama/3");
    EXPECT_EQ(BytesAt(decoded, forward.places.hidden), "hhhhHHHH");
    EXPECT_EQ(BytesAt(decoded, forward.places.context), "ccccCCCCccccCCCC");
    EXPECT_EQ(BytesAt(decoded, forward.places.attn_mask), "mM");
    const ForwardSpec& spec = forward.spec;
    EXPECT_THAT(spec.hidden.dims, ElementsAre(1, 1, 2));
    EXPECT_THAT(spec.context.dims, ElementsAre(1, 2, 2));
    EXPECT_EQ(spec.attn_mask.dtype, DataType::kBool);
    EXPECT_THAT(spec.kv_lengths, ElementsAre(2));
    EXPECT_EQ(spec.causal, CausalMode::kBottomRight);
    EXPECT_EQ(spec.causal_offset, -3);
    EXPECT_THAT(spec.positions, ElementsAre(7));
    EXPECT_EQ(spec.output.dtype, DataType::kBF16);
    EXPECT_EQ(spec.output.weights, WeightsMode::kBiased);
    EXPECT_EQ(spec.output.top_k, 2);
    EXPECT_TRUE(spec.output.return_lse);
    EXPECT_EQ(forward.priority, Priority::kHigh);
    EXPECT_EQ(forward.timeout, std::chrono::microseconds(5));
    EXPECT_FALSE(forward.session.has_value());
  }
}

TEST(InferLayerTest, WhatIsNotSaidIsLeftToTheLayer) {
  const InferMessage message(LayerRequest());
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.forward.status.ok()) << decoded.forward.status;
  EXPECT_FALSE(decoded.forward.spec.causal.has_value());
  EXPECT_FALSE(decoded.forward.spec.causal_offset.has_value());
  EXPECT_THAT(decoded.forward.spec.positions, IsEmpty());
  EXPECT_FALSE(decoded.forward.spec.context.is_present);
  EXPECT_TRUE(decoded.has_model);
  EXPECT_EQ(decoded.reply.model, InferModel::kLayer);
  EXPECT_EQ(decoded.reply.model_name, "layer:llama/3");
  EXPECT_THAT(decoded.reply.outputs,
              ElementsAre(InferOutput::kY, InferOutput::kLse));
}

TEST(InferLayerTest, OutputsHaveTheNamesOfForward) {
  ModelInferRequest request = LayerRequest();
  request.add_outputs()->set_name("output");
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  EXPECT_THAT(decoded.reply.outputs, ElementsAre(InferOutput::kY));
  EXPECT_FALSE(decoded.forward.spec.output.return_lse);
  request.add_outputs()->set_name("Y");
  EXPECT_EQ(RefusalOf(request),
            "outputs[1].name must be output, lse, weights, top_indices or "
            "top_probabilities; got Y");
}

TEST(InferLayerTest, InputsOfOtherModelsAreRefusedByName) {
  ModelInferRequest request = LayerRequest();
  AddInput("Q", "FP32", {1, 1, 2, 1}, "qqqqQQQQ", request);
  EXPECT_EQ(RefusalOf(request),
            "inputs[1].name must be hidden, context, attn_mask or kv_lengths; "
            "got Q");
  request = LayerRequest();
  AddInput("hidden", "FP32", {1, 1, 2}, "hhhhHHHH", request);
  EXPECT_EQ(RefusalOf(request),
            "inputs[1].name must not come twice; got hidden");
  request = RawRequest();
  AddInput("hidden", "FP32", {1, 1, 2}, "hhhhHHHH", request);
  EXPECT_EQ(RefusalOf(request),
            "inputs[3].name must be Q, K, V, attn_mask or kv_lengths; got "
            "hidden");
}

TEST(InferLayerTest, ParametersBelongToTheirModels) {
  for (const char* name :
       {"scale", "softcap", "left_window", "right_window", "alibi_slopes",
        "sinks", "layout", "num_q_heads", "num_kv_heads", "rope_base",
        "rope_rotary_dim", "rope_interleaved", "rope_scaling_factor",
        "rope_positions", "rope_key_positions"}) {
    ModelInferRequest request = LayerRequest();
    Set(name, "1", request);
    EXPECT_EQ(RefusalOf(request), "parameters." + std::string(name) +
                                      " must be absent with model "
                                      "layer:<name>; got 1");
  }
  for (const char* model : {"attention", "attention_kv"}) {
    ModelInferRequest request = RawRequest(model);
    Set("positions", "1", request);
    EXPECT_THAT(RefusalOf(request), HasSubstr("parameters.positions must be "
                                              "absent with model attention"));
  }
}

TEST(InferLayerTest, ASequenceIsForwardsSession) {
  ModelInferRequest request = LayerRequest();
  Set("sequence_id", "chat", request);
  Set("sequence_end", "true", request);
  Set("layer", "3", request);
  Set("expected_length", "9", request);
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.forward.status.ok()) << decoded.forward.status;
  EXPECT_FALSE(decoded.request.session.has_value());
  ASSERT_TRUE(decoded.forward.session.has_value());
  const SessionTarget& session = *decoded.forward.session;
  EXPECT_EQ(session.session_id, "chat");
  EXPECT_EQ(session.layer, 3);
  EXPECT_EQ(session.expected_length, 9);
  EXPECT_TRUE(session.ends);
  EXPECT_FALSE(session.start.has_value());
}

TEST(InferLayerTest, AStartLeavesHeadsAndDimsToTheLayer) {
  ModelInferRequest request = LayerRequest();
  Set("sequence_id", "5", request);
  Set("sequence_start", "true", request);
  const InferMessage plain(request);
  EXPECT_EQ(plain.Decode().forward.session->start, KvSpec{.num_layers = 1});
  Set("num_layers", "4", request);
  Set("kv_dtype", "int8", request);
  Set("max_length", "1000", request);
  Set("window", "64", request);
  const InferMessage message(request);
  EXPECT_EQ(message.Decode().forward.session->start,
            (KvSpec{.num_layers = 4,
                    .kv_dtype = KvDtype::kInt8,
                    .max_length = 1000,
                    .window = 64}));
}

TEST(InferLayerTest, WithoutASequenceThereIsNoSession) {
  for (const char* id : {"", "0"}) {
    ModelInferRequest request = LayerRequest();
    Set("sequence_id", id, request);
    Set("sequence_start", "false", request);
    Set("sequence_end", "false", request);
    const InferMessage message(request);
    EXPECT_TRUE(message.Decode().forward.status.ok());
    EXPECT_FALSE(message.Decode().forward.session.has_value());
  }
}

TEST(InferLayerTest, WhatIsSaidOfASequenceNeedsOne) {
  for (const char* name : {"sequence_start", "sequence_end"}) {
    ModelInferRequest request = LayerRequest();
    Set(name, "true", request);
    EXPECT_EQ(RefusalOf(request),
              "parameters.sequence_id must name a sequence with " +
                  std::string(name) + "; got nothing");
    Set("sequence_id", "0", request);
    EXPECT_THAT(RefusalOf(request), HasSubstr("; got 0"));
  }
  for (const char* name : {"layer", "expected_length"}) {
    ModelInferRequest request = LayerRequest();
    Set(name, "1", request);
    EXPECT_EQ(RefusalOf(request), "parameters." + std::string(name) +
                                      " must come with sequence_id; got 1");
  }
  ModelInferRequest request = LayerRequest();
  Set("sequence_id", "5", request);
  Set("num_layers", "2", request);
  EXPECT_EQ(RefusalOf(request),
            "parameters.num_layers must come with sequence_start; got 2");
}

TEST(InferLayerTest, VersionsOtherThanOneAreNotFound) {
  ModelInferRequest request = LayerRequest();
  request.set_model_version("2");
  const InferMessage message(request);
  EXPECT_EQ(message.Decode().forward.status.code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(message.Decode().has_model);
}

}  // namespace
}  // namespace attn::test
