#include "server/inference/infer_request.h"

#include "core/attention/validate.h"
#include "core/base/error.h"
#include "gmock/gmock.h"
#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/unit/server/inference/infer_message.h"

namespace attn::test {
namespace {

using inference::ModelInferRequest;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(InferRequestTest, ReadsEveryPartFromFragmentsOfAnySize) {
  ModelInferRequest request = RawRequest();
  AddInput("attn_mask", "BOOL", {1, 2}, std::string("\1\0", 2), request);
  AddInput("kv_lengths", "INT64", {1, 1}, std::string("\2\0\0\0\0\0\0\0", 8),
           request);
  request.set_model_version("1");
  request.add_outputs()->set_name("LSE");
  request.add_outputs()->set_name("Y");
  (*request.mutable_parameters())["scale"].set_double_param(0.5);
  const std::string text = request.SerializeAsString();
  for (size_t fragment = 1; fragment <= text.size(); ++fragment) {
    const InferMessage message(text, fragment);
    const DecodedInfer decoded = message.Decode();
    ASSERT_TRUE(decoded.request.status.ok()) << decoded.request.status;
    EXPECT_EQ(decoded.request.request_id, "id-7");
    EXPECT_FALSE(decoded.request.session.has_value());
    const RequestSpec& spec = decoded.request.spec;
    EXPECT_EQ(spec.query.dtype, DataType::kF32);
    EXPECT_THAT(spec.query.dims, ElementsAre(1, 2, 1, 1));
    EXPECT_EQ(spec.query.data_bytes, 8);
    EXPECT_EQ(BytesAt(decoded, decoded.request.places.query), "qqqqQQQQ");
    EXPECT_EQ(BytesAt(decoded, decoded.request.places.key), "kkkkKKKK");
    EXPECT_EQ(BytesAt(decoded, decoded.request.places.value), "vvvvVVVV");
    EXPECT_EQ(spec.attn_mask.dtype, DataType::kBool);
    EXPECT_EQ(BytesAt(decoded, decoded.request.places.attn_mask),
              std::string("\1\0", 2));
    EXPECT_THAT(spec.kv_lengths, ElementsAre(2));
    EXPECT_EQ(spec.params.scale, 0.5f);
    EXPECT_TRUE(spec.output.return_lse);
    EXPECT_THAT(decoded.reply.outputs,
                ElementsAre(InferOutput::kLse, InferOutput::kY));
    EXPECT_TRUE(ValidateRequest(spec, {}).ok());
  }
}

TEST(InferRequestTest, FieldsMayComeInAnyOrder) {
  const ModelInferRequest request = RawRequest();
  ModelInferRequest raw_first;
  *raw_first.mutable_raw_input_contents() = request.raw_input_contents();
  ModelInferRequest rest = request;
  rest.clear_raw_input_contents();
  const InferMessage message(raw_first.SerializeAsString() +
                             rest.SerializeAsString());
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.request.status.ok()) << decoded.request.status;
  EXPECT_EQ(BytesAt(decoded, decoded.request.places.value), "vvvvVVVV");
}

TEST(InferRequestTest, InputsMayComeInAnyOrderWithTheirBytes) {
  ModelInferRequest request = RawRequest();
  request.mutable_inputs()->SwapElements(0, 2);
  request.mutable_raw_input_contents()->SwapElements(0, 2);
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.request.status.ok());
  EXPECT_EQ(BytesAt(decoded, decoded.request.places.query), "qqqqQQQQ");
  EXPECT_THAT(decoded.request.spec.query.dims, ElementsAre(1, 2, 1, 1));
}

TEST(InferRequestTest, EveryTruncationIsAnErrorOrAMessage) {
  const std::string text = RawRequest().SerializeAsString();
  for (size_t size = 0; size < text.size(); ++size) {
    const InferMessage message(text.substr(0, size), 3);
    const DecodedInfer decoded = message.Decode();
    ModelInferRequest parsed;
    if (!parsed.ParseFromString(text.substr(0, size))) {
      EXPECT_FALSE(decoded.request.status.ok()) << size;
    }
  }
}

TEST(InferRequestTest, RandomBytesNeverCrash) {
  google::protobuf::SetLogHandler(nullptr);  // It would write thousands.
  Random random(7);
  const std::string text = RawRequest().SerializeAsString();
  for (int i = 0; i < 20000; ++i) {
    std::string broken = text;
    for (int j = 0; j < 3; ++j) {
      broken[random.Next() % broken.size()] = static_cast<char>(random.Next());
    }
    const InferMessage message(broken, 1 + random.Next() % 9);
    const DecodedInfer decoded = message.Decode();
    if (decoded.request.status.ok()) {
      (void)ValidateRequest(decoded.request.spec, {});
    }
  }
}

TEST(InferRequestTest, UnknownModelOrVersionIsNotFound) {
  ModelInferRequest request = RawRequest("resnet50");
  EXPECT_EQ(DecodeStatus(request).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(DecodeStatus(request).message()),
              HasSubstr("got \"resnet50\""));
  request = RawRequest();
  request.set_model_version("2");
  EXPECT_EQ(DecodeStatus(request).code(), absl::StatusCode::kNotFound);
  const InferMessage message(request);
  EXPECT_EQ(message.Decode().request.request_id, "id-7");
  EXPECT_FALSE(message.Decode().has_model);
}

TEST(InferRequestTest, LongIdIsRefusedAndEchoedInPart) {
  ModelInferRequest request = RawRequest();
  request.set_id(std::string(257, 'i'));
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  EXPECT_EQ(decoded.request.status.message(),
            "id must be at most 256 bytes; got 257");
  EXPECT_EQ(decoded.request.request_id, std::string(256, 'i'));
  EXPECT_TRUE(decoded.has_model);
}

TEST(InferRequestTest, UndecodableRequestKeepsAnIdThatCanBeEchoed) {
  const auto echo = [](const std::string& id) {
    ModelInferRequest request;
    request.set_id(id);
    // Field 2, model_version, is no text.
    const InferMessage message(request.SerializeAsString() + "\x12\x01\xff");
    const DecodedInfer decoded = message.Decode();
    EXPECT_EQ(decoded.request.status.message(),
              "the message cannot be decoded");
    return decoded.request.request_id;
  };
  google::protobuf::SetLogHandler(nullptr);
  EXPECT_EQ(echo("id-7"), "id-7");
  EXPECT_EQ(echo("\xff"), "");
}

TEST(InferRequestTest, WithoutNamesAllDeclaredOutputsCome) {
  ModelInferRequest request = RawRequest();
  const InferMessage plain(request);
  EXPECT_THAT(plain.Decode().reply.outputs,
              ElementsAre(InferOutput::kY, InferOutput::kLse));
  (*request.mutable_parameters())["weights"].set_string_param("biased");
  (*request.mutable_parameters())["top_k"].set_int64_param(2);
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  EXPECT_THAT(
      decoded.reply.outputs,
      ElementsAre(InferOutput::kY, InferOutput::kLse, InferOutput::kWeights,
                  InferOutput::kTopIndices, InferOutput::kTopProbabilities));
  EXPECT_EQ(decoded.request.spec.output.weights, WeightsMode::kBiased);
  EXPECT_EQ(decoded.request.spec.output.top_k, 2);
}

TEST(InferRequestTest, WhatIsNotAskedForIsNotComputed) {
  ModelInferRequest request = RawRequest();
  request.add_outputs()->set_name("weights");
  const InferMessage message(request);
  const OutputOptions output = message.Decode().request.spec.output;
  EXPECT_FALSE(output.return_lse);
  EXPECT_EQ(output.weights, WeightsMode::kProbabilities);
}

TEST(InferRequestTest, OutputsThatMakeNoSenseAreRefused) {
  const auto refusal = [](const auto& change) {
    ModelInferRequest request = RawRequest();
    change(request);
    return std::string(DecodeStatus(request).message());
  };
  EXPECT_THAT(
      refusal([](ModelInferRequest& r) { r.add_outputs()->set_name("Z"); }),
      HasSubstr("outputs[0].name must be Y, LSE"));
  EXPECT_EQ(refusal([](ModelInferRequest& r) {
              r.add_outputs()->set_name("Y");
              r.add_outputs()->set_name("Y");
            }),
            "outputs[1].name must not come twice; got Y");
  EXPECT_EQ(
      refusal([](ModelInferRequest& r) {
        auto& output = *r.add_outputs();
        output.set_name("Y");
        (*output.mutable_parameters())["classification"].set_int64_param(3);
      }),
      "outputs.Y.parameters must be empty; got classification");
  EXPECT_THAT(refusal([](ModelInferRequest& r) {
                r.add_outputs()->set_name("top_indices");
              }),
              HasSubstr("parameters.top_k must come with"));
  EXPECT_THAT(refusal([](ModelInferRequest& r) {
                r.add_outputs()->set_name("Y");
                (*r.mutable_parameters())["top_k"].set_int64_param(1);
              }),
              HasSubstr("parameters.top_k must come with"));
  EXPECT_THAT(refusal([](ModelInferRequest& r) {
                r.add_outputs()->set_name("Y");
                (*r.mutable_parameters())["weights"].set_string_param("biased");
              }),
              HasSubstr("parameters.weights must come with"));
}

TEST(InferRequestTest, SharedMemoryIsNotServed) {
  ModelInferRequest request = RawRequest();
  auto& output = *request.add_outputs();
  output.set_name("Y");
  (*output.mutable_parameters())["shared_memory_region"].set_string_param("r");
  EXPECT_EQ(DecodeStatus(request).code(), absl::StatusCode::kUnimplemented);
}

TEST(InferRequestTest, SequenceIsASession) {
  ModelInferRequest request = SequenceRequest();
  (*request.mutable_parameters())["layer"].set_int64_param(3);
  (*request.mutable_parameters())["expected_length"].set_int64_param(9);
  (*request.mutable_parameters())["sequence_end"].set_bool_param(true);
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.request.status.ok()) << decoded.request.status;
  ASSERT_TRUE(decoded.request.session.has_value());
  EXPECT_EQ(decoded.request.session->session_id, "5");
  EXPECT_EQ(decoded.request.session->layer, 3);
  EXPECT_EQ(decoded.request.session->expected_length, 9);
  EXPECT_TRUE(decoded.request.session->ends);
  EXPECT_FALSE(decoded.request.session->start.has_value());
}

TEST(InferRequestTest, StartTakesTheSessionFromShapesAndParameters) {
  ModelInferRequest request = SequenceRequest(/*is_start=*/true);
  (*request.mutable_parameters())["sequence_id"].set_string_param("chat");
  (*request.mutable_parameters())["num_layers"].set_int64_param(4);
  (*request.mutable_parameters())["kv_dtype"].set_string_param("INT8");
  (*request.mutable_parameters())["window"].set_int64_param(64);
  (*request.mutable_parameters())["max_length"].set_int64_param(1000);
  (*request.mutable_parameters())["layout"].set_string_param("bshd");
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.request.status.ok()) << decoded.request.status;
  EXPECT_EQ(decoded.request.session->session_id, "chat");
  EXPECT_EQ(*decoded.request.session->start, (KvSpec{.num_layers = 4,
                                                     .num_kv_heads = 2,
                                                     .head_dim = 1,
                                                     .value_head_dim = 1,
                                                     .kv_dtype = KvDtype::kInt8,
                                                     .max_length = 1000,
                                                     .window = 64}));
}

TEST(InferRequestTest, SequencesNeedAnIdAndAStartNeedsKeys) {
  ModelInferRequest request = RawRequest("attention_kv");
  EXPECT_EQ(DecodeStatus(request).message(),
            "parameters.sequence_id must name a sequence with model "
            "attention_kv; got nothing");
  (*request.mutable_parameters())["sequence_id"].set_int64_param(0);
  EXPECT_THAT(std::string(DecodeStatus(request).message()), HasSubstr("got 0"));
  request = SequenceRequest(/*is_start=*/true);
  request.mutable_inputs()->RemoveLast();
  request.mutable_raw_input_contents()->RemoveLast();
  EXPECT_EQ(DecodeStatus(request).message(), "value is required; got nothing");
}

}  // namespace
}  // namespace attn::test
