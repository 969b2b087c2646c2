#include "server/wire_codec.h"

#include <cstring>
#include <string>
#include <vector>

#include "attn/v1/attention.pb.h"
#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/unit/server/fragmented_message.h"
#include "tests/unit/server/reply_bytes.h"

namespace attn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void FillTensor(v1::Tensor& tensor, std::initializer_list<int64_t> dims,
                const std::string& data) {
  tensor.set_dtype(v1::DATA_TYPE_F32);
  tensor.mutable_shape()->Add(dims.begin(), dims.end());
  tensor.set_data(data);
}

v1::AttendRequest FullRequest() {
  v1::AttendRequest request;
  request.set_request_id("id-7");
  FillTensor(*request.mutable_query(), {1, 2, 1, 1}, "qqqqQQQQ");
  FillTensor(*request.mutable_key(), {1, 1, 2, 1}, "kkkkKKKK");
  FillTensor(*request.mutable_value(), {1, 1, 2, 1}, "vvvvVVVV");
  FillTensor(*request.mutable_attn_mask(), {2}, "mmmmMMMM");
  request.set_layout(v1::LAYOUT_BSHD);
  request.set_num_q_heads(2);
  request.set_num_kv_heads(1);
  request.add_kv_lengths(2);
  auto& params = *request.mutable_params();
  params.set_scale(0.5f);
  params.set_causal(v1::CAUSAL_BOTTOM_RIGHT);
  params.set_causal_offset(-3);
  params.set_left_window(4);
  params.set_right_window(5);
  params.set_softcap(6);
  params.add_alibi_slopes(7);
  params.add_alibi_slopes(8);
  params.add_sinks(9);
  request.mutable_output()->set_dtype(v1::DATA_TYPE_BF16);
  request.mutable_output()->set_return_lse(true);
  request.mutable_output()->set_weights(v1::WEIGHTS_BIASED);
  request.set_priority(v1::PRIORITY_HIGH);
  return request;
}

TEST(WireCodecTest, ReadsEveryFieldFromFragmentsOfAnySize) {
  const std::string text = FullRequest().SerializeAsString();
  for (size_t fragment = 1; fragment <= text.size(); ++fragment) {
    FragmentedMessage message(text, fragment);
    const DecodedRequest decoded = message.Decode();
    ASSERT_TRUE(decoded.status.ok()) << decoded.status;
    EXPECT_EQ(decoded.request_id, "id-7");
    EXPECT_EQ(decoded.priority, Priority::kHigh);
    const RequestSpec& spec = decoded.spec;
    EXPECT_THAT(spec.query.dims, ElementsAre(1, 2, 1, 1));
    EXPECT_EQ(spec.query.data_bytes, 8);
    EXPECT_EQ(message.Cut(decoded.places.query), "qqqqQQQQ");
    EXPECT_EQ(message.Cut(decoded.places.key), "kkkkKKKK");
    EXPECT_EQ(message.Cut(decoded.places.value), "vvvvVVVV");
    EXPECT_EQ(message.Cut(decoded.places.attn_mask), "mmmmMMMM");
    EXPECT_EQ(spec.layout, Layout::kBSHD);
    EXPECT_EQ(spec.num_q_heads, 2);
    EXPECT_EQ(spec.num_kv_heads, 1);
    EXPECT_THAT(spec.kv_lengths, ElementsAre(2));
    EXPECT_EQ(spec.params.scale, 0.5f);
    EXPECT_EQ(spec.params.causal, CausalMode::kBottomRight);
    EXPECT_EQ(spec.params.causal_offset, -3);
    EXPECT_EQ(spec.params.left_window, 4);
    EXPECT_EQ(spec.params.right_window, 5);
    EXPECT_EQ(spec.params.softcap, 6);
    EXPECT_THAT(spec.params.alibi_slopes, ElementsAre(7, 8));
    EXPECT_THAT(spec.params.sinks, ElementsAre(9));
    EXPECT_EQ(spec.output.dtype, DataType::kBF16);
    EXPECT_TRUE(spec.output.return_lse);
    EXPECT_EQ(spec.output.weights, WeightsMode::kBiased);
  }
}

TEST(WireCodecTest, MergesFieldsThatComeTwiceAsProtobufDoes) {
  v1::AttendRequest first = FullRequest();
  v1::AttendRequest second;
  second.mutable_query()->add_shape(64);
  second.mutable_query()->set_data("later");
  second.mutable_params()->set_softcap(60);
  second.set_request_id("later id");
  const std::string text =
      first.SerializeAsString() + second.SerializeAsString();
  FragmentedMessage message(text);
  const DecodedRequest decoded = message.Decode();
  ASSERT_TRUE(decoded.status.ok());
  v1::AttendRequest merged;
  ASSERT_TRUE(merged.ParseFromString(text));
  EXPECT_EQ(decoded.request_id, merged.request_id());
  EXPECT_EQ(message.Cut(decoded.places.query), merged.query().data());
  EXPECT_THAT(decoded.spec.query.dims, ElementsAre(1, 2, 1, 1, 64));
  EXPECT_EQ(decoded.spec.params.softcap, 60);
  EXPECT_EQ(decoded.spec.params.scale, 0.5f);
}

TEST(WireCodecTest, SkipsUnknownFieldsOfAnySize) {
  std::string text = FullRequest().SerializeAsString();
  // Field 1000, length-delimited, 6 MiB: more than the small fields may have.
  text += std::string("\xc2\x3e\x80\x80\x80\x03", 6);
  text += std::string(size_t{6} << 20, 'x');
  EXPECT_TRUE(FragmentedMessage(text).Decode().status.ok());
}

TEST(WireCodecTest, EveryTruncationIsAnErrorOrAMessage) {
  const std::string text = FullRequest().SerializeAsString();
  for (size_t size = 0; size < text.size(); ++size) {
    const std::string cut = text.substr(0, size);
    const DecodedRequest decoded = FragmentedMessage(cut).Decode();
    v1::AttendRequest parsed;
    EXPECT_EQ(decoded.status.ok(), parsed.ParseFromString(cut)) << size;
    if (!decoded.status.ok()) {
      EXPECT_EQ(decoded.status.code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST(WireCodecTest, RefusedItemsKeepTheirRequestId) {
  v1::AttendRequest request = FullRequest();
  request.set_priority(static_cast<v1::Priority>(9));
  const DecodedRequest decoded =
      FragmentedMessage(request.SerializeAsString()).Decode();
  EXPECT_EQ(decoded.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(decoded.request_id, "id-7");
}

TEST(WireCodecTest, SessionIsRead) {
  v1::AttendRequest request = FullRequest();
  EXPECT_FALSE(FragmentedMessage(request.SerializeAsString())
                   .Decode()
                   .session.has_value());
  request.mutable_session()->set_session_id("s-1");
  request.mutable_session()->set_layer(7);
  auto decoded = FragmentedMessage(request.SerializeAsString()).Decode();
  ASSERT_TRUE(decoded.session.has_value());
  EXPECT_EQ(decoded.session->session_id, "s-1");
  EXPECT_EQ(decoded.session->layer, 7);
  EXPECT_FALSE(decoded.session->expected_length.has_value());
  // Beyond int64: cut to what no layer reaches, so that sums stay in range.
  request.mutable_session()->set_expected_length(~uint64_t{0});
  decoded = FragmentedMessage(request.SerializeAsString()).Decode();
  EXPECT_EQ(decoded.session->expected_length, int64_t{1} << 62);
}

TEST(WireCodecTest, RotationIsReadAndItsTablesAreFound) {
  v1::AttendRequest request = FullRequest();
  v1::RopeParams& rope = *request.mutable_params()->mutable_rope();
  rope.set_rotary_dim(4);
  rope.set_interleaved(true);
  rope.set_scaling_factor(2.5f);
  rope.add_positions(-3);
  rope.add_key_positions(int64_t{1} << 40);
  rope.mutable_cos()->set_dtype(v1::DATA_TYPE_F32);
  rope.mutable_cos()->add_shape(2);
  rope.mutable_cos()->set_data("cosines!");
  rope.mutable_sin()->set_data("sines");
  FragmentedMessage message(request.SerializeAsString());
  const DecodedRequest decoded = message.Decode();
  ASSERT_TRUE(decoded.status.ok()) << decoded.status;
  ASSERT_TRUE(decoded.spec.params.rope.has_value());
  const RopeParams& read = *decoded.spec.params.rope;
  EXPECT_EQ(read.rotary_dim, 4);
  EXPECT_TRUE(read.is_interleaved);
  EXPECT_EQ(read.scaling_factor, 2.5f);
  EXPECT_THAT(read.positions, ElementsAre(-3));
  EXPECT_THAT(read.key_positions, ElementsAre(int64_t{1} << 40));
  EXPECT_THAT(decoded.spec.rope_cos.dims, ElementsAre(2));
  EXPECT_EQ(decoded.spec.rope_cos.data_bytes, 8);
  EXPECT_EQ(decoded.spec.rope_sin.data_bytes, 5);
  EXPECT_FALSE(FragmentedMessage(FullRequest().SerializeAsString())
                   .Decode()
                   .spec.params.rope.has_value());
}

struct Refusal {
  void (*change)(v1::AttendRequest&);
  absl::StatusCode code;
  const char* field;
};

TEST(WireCodecTest, WhatIsNotLegalIsRefusedByName) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const Refusal refusals[] = {
      {[](auto& r) { r.set_priority(static_cast<v1::Priority>(9)); }, kInvalid,
       "priority"},
      {[](auto& r) { r.set_request_id(std::string(257, 'x')); }, kInvalid,
       "request_id"},
      {[](auto& r) {
         for (int i = 0; i < 2000; ++i) r.mutable_key()->add_shape(1);
       },
       kInvalid, "key.shape"},
  };
  for (const Refusal& refusal : refusals) {
    v1::AttendRequest request = FullRequest();
    refusal.change(request);
    const absl::Status status =
        FragmentedMessage(request.SerializeAsString()).Decode().status;
    EXPECT_EQ(status.code(), refusal.code) << status;
    EXPECT_EQ(FieldOf(status), refusal.field);
  }
}

TEST(WireCodecTest, EchoesOfAnIdWhatAReplyCanHold) {
  const auto id_of = [](const std::string& text) {
    return FragmentedMessage(text).Decode().request_id;
  };
  EXPECT_EQ(id_of("\x0a\x02hi"), "hi");
  EXPECT_EQ(id_of("\x0a\x02\xc3\xa9"), "\u00e9");
  EXPECT_EQ(id_of("\x0a\x02\xff\xfe"), "") << "not UTF-8";
}

TEST(WireCodecTest, SmallFieldsAreBounded) {
  v1::AttendRequest request;
  for (int i = 0; i < (5 << 20); ++i) request.add_kv_lengths(1);
  EXPECT_EQ(
      FragmentedMessage(request.SerializeAsString()).Decode().status.code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(WireCodecTest, RandomBytesNeverCrash) {
  test::Random random(3);
  const std::string valid = FullRequest().SerializeAsString();
  for (int round = 0; round < 20000; ++round) {
    std::string text = valid;
    for (int64_t i = random.Between(1, 8); i > 0; --i) {
      text[random.Next() % text.size()] = static_cast<char>(random.Next());
    }
    FragmentedMessage message(text, 1 + random.Next() % 16);
    const DecodedRequest decoded = message.Decode();
    if (!decoded.status.ok()) continue;
    ASSERT_LE(decoded.places.query.offset + decoded.places.query.size,
              message.bytes().size());
  }
}

TEST(WireCodecTest, BatchGivesThePlacesOfItsRequests) {
  v1::AttendBatchRequest batch;
  batch.add_requests()->set_request_id("a");
  batch.add_requests()->set_request_id("b");
  FragmentedMessage message(batch.SerializeAsString(), 3);
  const auto ranges = DecodeBatch(message.bytes());
  ASSERT_TRUE(ranges.ok());
  ASSERT_EQ(ranges->size(), 2u);
  EXPECT_EQ(DecodeRequest({message.bytes()}, (*ranges)[1]).request_id, "b");
}

TEST(WireCodecTest, BatchOfTooManyRequestsIsRefused) {
  v1::AttendBatchRequest batch;
  for (int i = 0; i <= kMaxBatchRequests; ++i) batch.add_requests();
  FragmentedMessage message(batch.SerializeAsString());
  const absl::Status status = DecodeBatch(message.bytes()).status();
  EXPECT_EQ(FieldOf(status), "requests");
  EXPECT_THAT(std::string(status.message()), HasSubstr("4096"));
}

// A task as the engine leaves it: value [1, 1, 2, 3] F32, lse and weights.
AttentionTaskPtr FinishedTask(BufferPool& pool, Layout layout) {
  AttentionPlan plan;
  plan.geometry = {.batch_size = 1,
                   .num_q_heads = 2,
                   .num_kv_heads = 1,
                   .q_len = 1,
                   .kv_len = 2,
                   .head_dim = 1,
                   .value_head_dim = 3};
  plan.layout = layout;
  plan.output.return_lse = true;
  plan.output.weights = WeightsMode::kProbabilities;
  plan.output_bytes = 24;
  plan.lse_bytes = 8;
  plan.weights_bytes = 16;
  AttentionTask::Buffers buffers;
  buffers.reply = *pool.Lease(AttentionTask::ReplyBytes(plan));
  std::memset(buffers.reply.data(), 0x41, 24);
  return std::make_shared<AttentionTask>(plan, TaskFacts{}, AdmissionTicket(),
                                         std::move(buffers));
}

TEST(WireCodecTest, ResponsesParseAndBorrowTheTensors) {
  BufferPool pool(1 << 20);
  const AttentionTaskPtr task = FinishedTask(pool, Layout::kBSE);
  const Reply reply = EncodeResponse({.request_id = "r", .task = task});
  v1::AttendResponse response;
  ASSERT_TRUE(response.ParseFromString(Join(reply)));
  EXPECT_EQ(response.request_id(), "r");
  EXPECT_THAT(response.output().shape(), ElementsAre(1, 1, 6));
  EXPECT_EQ(response.output().data(), std::string(24, 'A'));
  EXPECT_THAT(response.lse().shape(), ElementsAre(1, 2, 1));
  EXPECT_THAT(response.weights().shape(), ElementsAre(1, 2, 1, 2));
  EXPECT_EQ(ReplySize(reply), static_cast<int64_t>(response.ByteSizeLong()));
  int borrowed = 0;
  for (const ReplyChunk& chunk : reply) {
    if (chunk.data == task->output()) ++borrowed;
  }
  EXPECT_EQ(borrowed, 1);
}

TEST(WireCodecTest, BatchResponsesKeepOrderAndFailures) {
  BufferPool pool(1 << 20);
  std::vector<AttendOutcome> outcomes(2);
  outcomes[0].request_id = "bad";
  outcomes[0].status = InvalidOption("layout", "must be known", "9");
  outcomes[1].request_id = "good";
  outcomes[1].task = FinishedTask(pool, Layout::kBHSD);
  v1::AttendBatchResponse batch;
  ASSERT_TRUE(batch.ParseFromString(Join(EncodeBatchResponse(outcomes))));
  ASSERT_EQ(batch.results_size(), 2);
  EXPECT_EQ(batch.results(0).status().code(), 3);
  EXPECT_EQ(batch.results(0).status().message(), "layout must be known; got 9");
  EXPECT_EQ(batch.results(0).response().request_id(), "bad");
  EXPECT_EQ(batch.results(1).status().code(), 0);
  EXPECT_EQ(batch.results(1).response().request_id(), "good");
}

}  // namespace
}  // namespace attn
