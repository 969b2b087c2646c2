#include "client/cpp/layer_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "client/cpp/response_codec.h"
#include "google/protobuf/text_format.h"

namespace attn::client {
namespace {

using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;

constexpr char kRequestText[] = R"pb(
  request_id: "r"
  layer: "m/3"
  hidden { dtype: DATA_TYPE_F32 shape: 1 data: "hhhh" }
  context { dtype: DATA_TYPE_F32 shape: 1 data: "cccc" }
  attn_mask { dtype: DATA_TYPE_F32 shape: 1 data: "mmmm" }
  kv_lengths: 2
  kv_lengths: 3
  causal: CAUSAL_BOTTOM_RIGHT
  causal_offset: -4
  positions: 5
  output {
    dtype: DATA_TYPE_BF16
    return_lse: true
    weights: WEIGHTS_PROBABILITIES
    top_k: 6
  }
  session { session_id: "s" layer: 7 expected_length: 8 }
  priority: PRIORITY_HIGH
)pb";

Tensor Four(char fill) {
  return Tensor::Own(DType::kF32, {1}, std::string(4, fill));
}

// Every field with a value of its own.
ForwardRequest FullRequest() {
  return {.request_id = "r",
          .layer = "m/3",
          .hidden = Four('h'),
          .context = Four('c'),
          .attn_mask = Four('m'),
          .kv_lengths = {2, 3},
          .causal = Causal::kBottomRight,
          .causal_offset = -4,
          .positions = {5},
          .output = {.dtype = DType::kBf16,
                     .return_lse = true,
                     .weights = Weights::kProbabilities,
                     .top_k = 6},
          .session =
              SessionRef{.session_id = "s", .layer = 7, .expected_length = 8},
          .priority = Priority::kHigh};
}

attn::v1::ForwardRequest Sent(const ForwardRequest& request) {
  attn::v1::ForwardRequest message;
  EXPECT_TRUE(message.ParseFromString(EncodeRequest(request).FlattenForTest()));
  return message;
}

TEST(LayerCodecTest, EncodesEveryFieldOfARequest) {
  attn::v1::ForwardRequest expected;
  ASSERT_TRUE(TextFormat::ParseFromString(kRequestText, &expected));
  const attn::v1::ForwardRequest found = Sent(FullRequest());
  EXPECT_TRUE(MessageDifferencer::Equals(expected, found))
      << found.DebugString();
  // A field that the contract gains must be added here and in the codec.
  EXPECT_EQ(attn::v1::ForwardRequest::descriptor()->field_count(), 12);
}

TEST(LayerCodecTest, AbsentCausalIsTheLayersOwnAndNoneIsSent) {
  EXPECT_FALSE(Sent({}).has_causal());
  EXPECT_TRUE(Sent({.causal = Causal::kNone}).has_causal());
  EXPECT_FALSE(Sent({}).has_session());
  EXPECT_FALSE(Sent({}).has_context());
}

TEST(LayerCodecTest, BatchKeepsTheOrder) {
  const std::vector<ForwardRequest> requests = {{.layer = "a/0"},
                                                {.layer = "b/1"}};
  attn::v1::ForwardBatchRequest message;
  ASSERT_TRUE(message.ParseFromString(EncodeBatch(requests).FlattenForTest()));
  ASSERT_EQ(message.requests_size(), 2);
  EXPECT_EQ(message.requests(0).layer(), "a/0");
  EXPECT_EQ(message.requests(1).layer(), "b/1");
}

TEST(LayerCodecTest, DecodesEveryFieldOfALayer) {
  attn::v1::Layer message;
  ASSERT_TRUE(TextFormat::ParseFromString(R"pb(
                                            name: "m/3"
                                            model_type: "llama"
                                            index: 3
                                            hidden_dim: 4
                                            output_dim: 5
                                            num_q_heads: 6
                                            num_kv_heads: 7
                                            head_dim: 8
                                            causal: CAUSAL_TOP_LEFT
                                            window: 9
                                            has_rope: true
                                            weights: WEIGHT_FORMAT_INT8
                                            weight_bytes: 10
                                          )pb",
                                          &message));
  const Layer layer = DecodeLayer(message);
  EXPECT_EQ(layer.name, "m/3");
  EXPECT_EQ(layer.model_type, "llama");
  EXPECT_THAT(
      (std::vector<uint64_t>{layer.index, layer.hidden_dim, layer.output_dim,
                             layer.num_q_heads, layer.num_kv_heads,
                             layer.head_dim, layer.window, layer.weight_bytes}),
      ElementsAre(3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_EQ(layer.causal, Causal::kTopLeft);
  EXPECT_TRUE(layer.has_rope);
  EXPECT_EQ(WeightFormatName(layer.weights), "int8");
  EXPECT_EQ(attn::v1::Layer::descriptor()->field_count(), 13);
}

TEST(LayerCodecTest, DecodesAnAnswerAndAFailedItem) {
  attn::v1::ForwardResult good;
  ASSERT_TRUE(TextFormat::ParseFromString(
      R"pb(
        response {
          request_id: "r"
          output { dtype: DATA_TYPE_F32 shape: 1 data: "oooo" }
          lse { dtype: DATA_TYPE_F32 shape: 1 data: "llll" }
          session_length: 9
          timing { total_ns: 7 batch_size: 2 }
        })pb",
      &good));
  const ForwardResult result = DecodeResult(good);
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.response.output.bytes(), "oooo");
  EXPECT_EQ(result.response.lse.bytes(), "llll");
  EXPECT_FALSE(result.response.weights.present());
  EXPECT_EQ(result.response.session_length, 9);
  EXPECT_EQ(result.response.timing.batch_size, 2);
  attn::v1::ForwardResult bad;
  bad.mutable_status()->set_code(5);
  bad.mutable_response()->set_request_id("x");
  const ForwardResult failed = DecodeResult(bad);
  EXPECT_EQ(failed.status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(failed.response.request_id, "x");
}

TEST(LayerCodecTest, SessionNeedsAnExpectedLengthToBeRepeated) {
  EXPECT_TRUE(IsIdempotent(ForwardRequest{}));
  ForwardRequest request = {.session = SessionRef{.session_id = "s"}};
  EXPECT_FALSE(IsIdempotent(request));
  request.session->expected_length = 0;
  EXPECT_TRUE(IsIdempotent(request));
}

}  // namespace
}  // namespace attn::client
