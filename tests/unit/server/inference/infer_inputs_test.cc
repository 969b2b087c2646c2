#include "server/inference/infer_inputs.h"

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/server/inference/infer_message.h"

namespace attn::test {
namespace {

using inference::InferTensorContents;
using inference::ModelInferRequest;
using testing::ElementsAre;
using testing::HasSubstr;

std::string RefusalOf(const ModelInferRequest& request) {
  const absl::Status status = DecodeStatus(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

// RawRequest with contents in the place of raw bytes; Q's is left to the test.
ModelInferRequest TypedRequest() {
  ModelInferRequest request = RawRequest();
  request.clear_raw_input_contents();
  for (const int i : {1, 2}) {
    auto& contents = *request.mutable_inputs(i)->mutable_contents();
    contents.add_fp32_contents(1);
    contents.add_fp32_contents(2);
  }
  return request;
}

template <typename T>
std::string Raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()),
          values.size() * sizeof(T)};
}

TEST(InferInputsTest, RawEntriesMustBeAsManyAsInputs) {
  ModelInferRequest missing = RawRequest();
  missing.mutable_raw_input_contents()->RemoveLast();
  EXPECT_EQ(RefusalOf(missing),
            "raw_input_contents must have as many entries as inputs; got 2 vs "
            "3");
  ModelInferRequest extra = RawRequest();
  extra.add_raw_input_contents("more");
  EXPECT_EQ(RefusalOf(extra),
            "raw_input_contents must have as many entries as inputs; got 4 vs "
            "3");
}

TEST(InferInputsTest, ContentsAndRawBytesExcludeEachOther) {
  ModelInferRequest request = RawRequest();
  request.mutable_inputs(1)->mutable_contents()->add_fp32_contents(1);
  EXPECT_EQ(RefusalOf(request),
            "inputs[1].contents must be absent beside raw_input_contents; got "
            "contents");
}

TEST(InferInputsTest, NamesAreKnownAndComeOnce) {
  ModelInferRequest request = RawRequest();
  request.mutable_inputs(1)->set_name("key");
  EXPECT_EQ(RefusalOf(request),
            "inputs[1].name must be Q, K, V, attn_mask or kv_lengths; got key");
  request.mutable_inputs(1)->set_name("Q");
  EXPECT_EQ(RefusalOf(request), "inputs[1].name must not come twice; got Q");
}

TEST(InferInputsTest, DatatypesAreKnown) {
  ModelInferRequest request = RawRequest();
  request.mutable_inputs(0)->set_datatype("FP8");
  EXPECT_THAT(RefusalOf(request),
              HasSubstr("inputs.Q.datatype must be FP32, FP16"));
}

TEST(InferInputsTest, ParametersOfInputsAreRefused) {
  ModelInferRequest request = RawRequest();
  auto& parameters = *request.mutable_inputs(0)->mutable_parameters();
  parameters["binary_data_size"].set_int64_param(8);
  EXPECT_EQ(RefusalOf(request),
            "inputs.Q.parameters must be empty; got binary_data_size");
  parameters.clear();
  parameters["shared_memory_region"].set_string_param("r");
  EXPECT_EQ(DecodeStatus(request).code(), absl::StatusCode::kUnimplemented);
}

TEST(InferInputsTest, PackedFloatsStayInTheMessage) {
  ModelInferRequest request = TypedRequest();
  auto& contents = *request.mutable_inputs(0)->mutable_contents();
  contents.add_fp32_contents(0.5F);
  contents.add_fp32_contents(-3);
  const std::string text = request.SerializeAsString();
  for (size_t fragment = 1; fragment <= text.size(); ++fragment) {
    const InferMessage message(text, fragment);
    const DecodedInfer decoded = message.Decode();
    ASSERT_TRUE(decoded.request.status.ok()) << decoded.request.status;
    EXPECT_EQ(BytesAt(decoded, decoded.request.places.query),
              Raw({0.5F, -3.0F}));
    EXPECT_EQ(BytesAt(decoded, decoded.request.places.key), Raw({1.0F, 2.0F}));
    EXPECT_EQ(decoded.bytes.size(), message.bytes().size()) << "no copy";
  }
}

TEST(InferInputsTest, FloatsInPiecesAreJoined) {
  InferTensorContents first;
  first.add_fp32_contents(0.5F);
  // One element by itself: tag of field 6 with wire type 5.
  const std::string unpacked = std::string(1, (6 << 3) | 5) + Raw({-3.0F});
  ModelInferRequest request = TypedRequest();
  ModelInferRequest::InferInputTensor& query = *request.mutable_inputs(0);
  InferTensorContents last;
  last.add_fp32_contents(7);
  const std::string contents =
      first.SerializeAsString() + unpacked + last.SerializeAsString();
  const std::string field = std::string(1, (5 << 3) | 2) +
                            static_cast<char>(contents.size()) + contents;
  const std::string rest = query.SerializeAsString() + field;
  ModelInferRequest others = request;
  others.mutable_inputs()->DeleteSubrange(0, 1);
  const InferMessage message(std::string(1, (5 << 3) | 2) +
                             static_cast<char>(rest.size()) + rest +
                             others.SerializeAsString());
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.request.status.ok()) << decoded.request.status;
  EXPECT_EQ(BytesAt(decoded, decoded.request.places.query),
            Raw({0.5F, -3.0F, 7.0F}));
  EXPECT_EQ(decoded.request.spec.query.data_bytes, 12);
  EXPECT_EQ(decoded.bytes.size(), message.bytes().size() + 12);
}

TEST(InferInputsTest, EveryTypedFieldIsItsDatatypesRawForm) {
  ModelInferRequest request = TypedRequest();
  auto& query = *request.mutable_inputs(0);
  query.set_datatype("FP64");
  query.mutable_contents()->add_fp64_contents(0.25);
  query.mutable_contents()->add_fp64_contents(8);
  auto& mask = *request.add_inputs();
  mask.set_name("attn_mask");
  mask.set_datatype("BOOL");
  mask.add_shape(2);
  mask.mutable_contents()->add_bool_contents(true);
  mask.mutable_contents()->add_bool_contents(false);
  auto& lengths = *request.add_inputs();
  lengths.set_name("kv_lengths");
  lengths.set_datatype("INT64");
  lengths.add_shape(1);
  lengths.mutable_contents()->add_int64_contents(2);
  const InferMessage message(request);
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.request.status.ok()) << decoded.request.status;
  EXPECT_EQ(BytesAt(decoded, decoded.request.places.query), Raw({0.25, 8.0}));
  EXPECT_EQ(BytesAt(decoded, decoded.request.places.attn_mask),
            std::string("\1\0", 2));
  EXPECT_THAT(decoded.request.spec.kv_lengths, ElementsAre(2));
}

TEST(InferInputsTest, ContentsMustBeOfTheirDatatype) {
  ModelInferRequest request = TypedRequest();
  request.mutable_inputs(0)->mutable_contents()->add_fp64_contents(1);
  EXPECT_EQ(RefusalOf(request),
            "inputs.Q.contents must be fp32_contents alone; got field 7");
  request.mutable_inputs(0)->set_datatype("BF16");
  EXPECT_EQ(RefusalOf(request),
            "inputs.Q.contents must be absent: this datatype comes raw alone; "
            "got field 7");
}

TEST(InferInputsTest, OnlyPackedFloatsMayBeLong) {
  constexpr int kTooMany = (4 << 20) + 1;
  ModelInferRequest request = TypedRequest();
  auto& query = *request.mutable_inputs(0);
  query.mutable_contents()->mutable_fp32_contents()->Resize(kTooMany, 1);
  EXPECT_TRUE(DecodeStatus(request).ok());
  query.set_datatype("BOOL");
  query.mutable_contents()->Clear();
  query.mutable_contents()->mutable_bool_contents()->Resize(kTooMany, true);
  EXPECT_THAT(RefusalOf(request),
              HasSubstr("inputs.Q.contents must have at most 4194304 bytes"));
}

TEST(InferInputsTest, MissingBytesAreLeftToTheRulesOfTensors) {
  const InferMessage message(TypedRequest());
  const DecodedInfer decoded = message.Decode();
  ASSERT_TRUE(decoded.request.status.ok());
  EXPECT_EQ(decoded.request.spec.query.data_bytes, 0);
}

TEST(InferInputsTest, KvLengthsAreAListOfInt64) {
  const auto refusal = [](const std::string& datatype,
                          const std::vector<int64_t>& shape, size_t bytes) {
    ModelInferRequest request = RawRequest();
    AddInput("kv_lengths", datatype, shape, std::string(bytes, '\0'), request);
    return RefusalOf(request);
  };
  EXPECT_EQ(refusal("INT32", {1}, 4),
            "inputs.kv_lengths.datatype must be INT64; got INT32");
  EXPECT_EQ(refusal("INT64", {1, 2}, 16),
            "inputs.kv_lengths.shape must be [B] or [B, 1]; got [1, 2]");
  EXPECT_EQ(refusal("INT64", {0}, 0),
            "inputs.kv_lengths.shape[0] must be from 1 to 524288; got 0");
  EXPECT_EQ(refusal("INT64", {int64_t{1} << 60}, 8),
            "inputs.kv_lengths.shape[0] must be from 1 to 524288; got "
            "1152921504606846976");
  EXPECT_EQ(refusal("INT64", {2}, 15),
            "inputs.kv_lengths must hold 16 bytes (shape [2] of INT64); got "
            "15");
}

TEST(InferInputsTest, NumbersAndHeadersOfInputsAreBounded) {
  ModelInferRequest many = RawRequest();
  for (int i = 0; i < 14; ++i) many.add_inputs();
  EXPECT_EQ(RefusalOf(many), "inputs must have at most 16 entries; got more");
  ModelInferRequest raw = RawRequest();
  for (int i = 0; i < 14; ++i) raw.add_raw_input_contents("");
  EXPECT_EQ(RefusalOf(raw),
            "raw_input_contents must have at most 16 entries; got more");
  ModelInferRequest large = RawRequest();
  large.mutable_inputs(2)->set_name(std::string(5000, 'n'));
  EXPECT_THAT(RefusalOf(large),
              HasSubstr("inputs[2] must have at most 4096 bytes"));
}

}  // namespace
}  // namespace attn::test
