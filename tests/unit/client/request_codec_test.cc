#include "client/cpp/request_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "attn/v1/attention.pb.h"
#include "client/cpp/response_codec.h"
#include "google/protobuf/text_format.h"

namespace attn::client {
namespace {

using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;

Tensor Bytes(size_t count, char fill) {
  return Tensor::Own(DType::kBool, {static_cast<int64_t>(count)},
                     std::string(count, fill));
}

RopeParams FullRope() {
  RopeParams rope;
  rope.base = 10000;
  rope.rotary_dim = 2;
  rope.interleaved = true;
  rope.scaling_factor = 2;
  rope.cos = Bytes(1, 'c');
  rope.sin = Bytes(1, 's');
  rope.positions = {4};
  rope.key_positions = {5, 6};
  return rope;
}

Tensor InSharedMemory(const Tensor& sent) {
  return Tensor::InSharedMemory(sent.dtype(), sent.shape(), sent.owner(),
                                sent.bytes(), {.region_id = "r", .offset = 64});
}

// Every field of the contract with a value of its own.
AttendRequest FullRequest() {
  AttendRequest request;
  request.request_id = "r1";
  request.query = Bytes(1, 'q');
  request.key = Bytes(2, 'k');
  request.value = Bytes(3, 'v');
  request.layout = Layout::kBse;
  request.num_q_heads = 4;
  request.num_kv_heads = 2;
  request.attn_mask = Bytes(4, 'm');
  request.kv_lengths = {7, 8};
  request.params = {.scale = 0.5F,
                    .causal = Causal::kBottomRight,
                    .causal_offset = -3,
                    .left_window = 10,
                    .right_window = 11,
                    .softcap = 30,
                    .alibi_slopes = {0.25F},
                    .sinks = {0.75F},
                    .rope = FullRope()};
  request.output = {.dtype = DType::kBf16,
                    .return_lse = true,
                    .weights = Weights::kBiased,
                    .top_k = 9,
                    .into = InSharedMemory(Bytes(2, 'o'))};
  request.session = {.session_id = "s", .layer = 3, .expected_length = 12};
  request.priority = Priority::kHigh;
  return request;
}

constexpr char kFullText[] = R"pb(
  request_id: "r1"
  query { dtype: DATA_TYPE_BOOL shape: 1 data: "q" }
  key { dtype: DATA_TYPE_BOOL shape: 2 data: "kk" }
  value { dtype: DATA_TYPE_BOOL shape: 3 data: "vvv" }
  layout: LAYOUT_BSE
  num_q_heads: 4
  num_kv_heads: 2
  attn_mask { dtype: DATA_TYPE_BOOL shape: 4 data: "mmmm" }
  kv_lengths: [ 7, 8 ]
  params {
    scale: 0.5
    causal: CAUSAL_BOTTOM_RIGHT
    causal_offset: -3
    left_window: 10
    right_window: 11
    softcap: 30
    alibi_slopes: 0.25
    sinks: 0.75
    rope {
      base: 10000
      rotary_dim: 2
      interleaved: true
      scaling_factor: 2
      cos { dtype: DATA_TYPE_BOOL shape: 1 data: "c" }
      sin { dtype: DATA_TYPE_BOOL shape: 1 data: "s" }
      positions: 4
      key_positions: [ 5, 6 ]
    }
  }
  output {
    dtype: DATA_TYPE_BF16
    return_lse: true
    weights: WEIGHTS_BIASED
    top_k: 9
    shared { region_id: "r" offset: 64 size: 2 }
  }
  session { session_id: "s" layer: 3 expected_length: 12 }
  priority: PRIORITY_HIGH
)pb";

TEST(RequestCodecTest, EncodesEveryFieldOfTheContract) {
  attn::v1::AttendRequest expected;
  ASSERT_TRUE(TextFormat::ParseFromString(kFullText, &expected));
  attn::v1::AttendRequest found;
  ASSERT_TRUE(
      found.ParseFromString(EncodeRequest(FullRequest()).FlattenForTest()));
  EXPECT_TRUE(MessageDifferencer::Equals(expected, found))
      << found.DebugString();
  // A field that the contract gains must be added here and in the codec.
  EXPECT_EQ(attn::v1::AttendRequest::descriptor()->field_count(), 13);
  EXPECT_EQ(attn::v1::AttentionParams::descriptor()->field_count(), 9);
  EXPECT_EQ(attn::v1::RopeParams::descriptor()->field_count(), 8);
  EXPECT_EQ(attn::v1::OutputOptions::descriptor()->field_count(), 5);
}

TEST(RequestCodecTest, TensorsInSharedMemoryAreNamedAndNotSent) {
  AttendRequest request;
  request.key = InSharedMemory(Bytes(100'000, 'k'));
  WireMessage message = EncodeRequest(request);
  EXPECT_LT(message.size_bytes(), 100);
  attn::v1::AttendRequest found;
  ASSERT_TRUE(found.ParseFromString(message.FlattenForTest()));
  EXPECT_FALSE(found.key().shape().empty());
  EXPECT_EQ(found.key().shared().region_id(), "r");
  EXPECT_EQ(found.key().shared().offset(), 64);
  EXPECT_EQ(found.key().shared().size(), 100'000);
}

TEST(RequestCodecTest, LargeTensorsAreReferredToAndNotCopied) {
  AttendRequest request;
  request.query = Bytes(100'000, 'q');
  WireMessage message = EncodeRequest(request);
  EXPECT_GT(message.size_bytes(), 100'000);
  const auto segments = message.TakeSegments();
  ASSERT_EQ(segments.size(), 2);
  EXPECT_EQ(segments[1].bytes.data(), request.query.bytes().data());
}

TEST(RequestCodecTest, BorrowedTensorsAreCopied) {
  const std::string bytes(100'000, 'q');
  AttendRequest request;
  request.query = Tensor::Borrow(DType::kBool, {100'000}, bytes);
  EXPECT_EQ(EncodeRequest(request).TakeSegments().size(), 1);
}

TEST(RequestCodecTest, BatchKeepsItemsInOrder) {
  AttendRequest large;
  large.request_id = "b";
  large.key = Bytes(10'000, 'k');
  attn::v1::AttendBatchRequest found;
  ASSERT_TRUE(found.ParseFromString(
      EncodeBatch({FullRequest(), large, FullRequest()}).FlattenForTest()));
  ASSERT_EQ(found.requests_size(), 3);
  EXPECT_EQ(found.requests(1).request_id(), "b");
  EXPECT_EQ(found.requests(1).key().data(), std::string(10'000, 'k'));
  EXPECT_EQ(found.requests(2).value().data(), "vvv");
}

TEST(RequestCodecTest, DecodesEveryFieldOfAReply) {
  attn::v1::AttendResult message;
  ASSERT_TRUE(TextFormat::ParseFromString(
      R"pb(
        status { code: 3 message: "bad" }
        response {
          request_id: "r"
          output {
            dtype: DATA_TYPE_F32
            shape: [ 1 ]
            data: "abcd"
          }
          lse { dtype: DATA_TYPE_F32 data: "efgh" }
          weights {
            dtype: DATA_TYPE_F16
            shape: [ 2, 1 ]
            data: "ijkl"
          }
          top {
            indices { dtype: DATA_TYPE_I32 data: "mnop" }
            probabilities { dtype: DATA_TYPE_F32 data: "qrst" }
          }
          session_length: 5
          timing { queue_ns: 1 compute_ns: 2 total_ns: 4 batch_size: 3 }
        })pb",
      &message));
  const AttendResult result = DecodeResult(message);
  EXPECT_EQ(result.status, absl::InvalidArgumentError("bad"));
  const AttendResponse& response = result.response;
  EXPECT_EQ(response.request_id, "r");
  EXPECT_EQ(response.output.bytes(), "abcd");
  EXPECT_EQ(response.lse.bytes(), "efgh");
  EXPECT_EQ(response.weights.dtype(), DType::kF16);
  EXPECT_THAT(response.weights.shape(), ElementsAre(2, 1));
  EXPECT_EQ(response.top.indices.bytes(), "mnop");
  EXPECT_EQ(response.top.probabilities.bytes(), "qrst");
  EXPECT_EQ(response.session_length, 5);
  EXPECT_EQ(response.timing.queue, absl::Nanoseconds(1));
  EXPECT_EQ(response.timing.compute, absl::Nanoseconds(2));
  EXPECT_EQ(response.timing.total, absl::Nanoseconds(4));
  EXPECT_EQ(response.timing.batch_size, 3);
}

TEST(RequestCodecTest, OnlyAppendsWithoutExpectedLengthMayNotRepeat) {
  AttendRequest request = FullRequest();
  EXPECT_TRUE(IsIdempotent(request));
  request.session->expected_length.reset();
  EXPECT_FALSE(IsIdempotent(request));
  request.key = Tensor();
  request.value = Tensor();
  EXPECT_TRUE(IsIdempotent(request));
  request.session.reset();
  EXPECT_TRUE(IsIdempotent(request));
}

}  // namespace
}  // namespace attn::client
