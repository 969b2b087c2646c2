#include "server/forward_codec.h"

#include <string>
#include <utility>
#include <vector>

#include "attn/v1/layer.pb.h"
#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/append_key.h"
#include "tests/support/random.h"
#include "tests/unit/server/fragmented_message.h"
#include "tests/unit/server/reply_bytes.h"

namespace attn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::Tensor Bytes(v1::DataType dtype, std::initializer_list<int64_t> dims,
                 const std::string& data) {
  v1::Tensor tensor;
  tensor.set_dtype(dtype);
  tensor.mutable_shape()->Add(dims.begin(), dims.end());
  tensor.set_data(data);
  return tensor;
}

v1::ForwardRequest FullRequest() {
  v1::ForwardRequest request;
  request.set_request_id("id-7");
  request.set_layer("llama/3");
  *request.mutable_hidden() = Bytes(v1::DATA_TYPE_F32, {1, 1, 2}, "hhhhHHHH");
  *request.mutable_context() = Bytes(v1::DATA_TYPE_F32, {1, 2, 1}, "ccccCCCC");
  *request.mutable_attn_mask() = Bytes(v1::DATA_TYPE_BOOL, {2}, "mM");
  request.add_kv_lengths(2);
  request.set_causal(v1::CAUSAL_BOTTOM_RIGHT);
  request.set_causal_offset(-3);
  request.add_positions(8);
  request.add_positions(9);
  request.mutable_output()->set_dtype(v1::DATA_TYPE_BF16);
  request.mutable_output()->set_return_lse(true);
  request.mutable_output()->set_weights(v1::WEIGHTS_BIASED);
  request.mutable_output()->set_top_k(4);
  request.mutable_session()->set_session_id("s");
  request.mutable_session()->set_layer(5);
  request.mutable_session()->set_expected_length(6);
  request.set_priority(v1::PRIORITY_HIGH);
  return request;
}

DecodedForward Decode(FragmentedMessage& message) {
  return DecodeForward({message.bytes()}, message.bytes().whole());
}

DecodedForward DecodeText(const std::string& text) {
  FragmentedMessage message(text);
  return Decode(message);
}

absl::Status StatusOf(const v1::ForwardRequest& request) {
  return DecodeText(request.SerializeAsString()).status;
}

TEST(ForwardCodecTest, ReadsEveryFieldFromFragmentsOfAnySize) {
  const std::string text = FullRequest().SerializeAsString();
  for (size_t fragment = 1; fragment <= text.size(); ++fragment) {
    FragmentedMessage message(text, fragment);
    const DecodedForward decoded = Decode(message);
    ASSERT_TRUE(decoded.status.ok()) << decoded.status;
    EXPECT_EQ(decoded.request_id, "id-7");
    EXPECT_EQ(decoded.layer, "llama/3");
    EXPECT_EQ(decoded.priority, Priority::kHigh);
    EXPECT_THAT(decoded.spec.hidden.dims, ElementsAre(1, 1, 2));
    EXPECT_EQ(decoded.spec.hidden.dtype, DataType::kF32);
    EXPECT_EQ(decoded.spec.hidden.data_bytes, 8);
    EXPECT_EQ(message.Cut(decoded.places.hidden), "hhhhHHHH");
    EXPECT_EQ(message.Cut(decoded.places.context), "ccccCCCC");
    EXPECT_EQ(message.Cut(decoded.places.attn_mask), "mM");
  }
}

TEST(ForwardCodecTest, ReadsEverySmallField) {
  const DecodedForward decoded = DecodeText(FullRequest().SerializeAsString());
  const ForwardSpec& spec = decoded.spec;
  EXPECT_THAT(spec.kv_lengths, ElementsAre(2));
  EXPECT_EQ(spec.causal, CausalMode::kBottomRight);
  EXPECT_EQ(spec.causal_offset, -3);
  EXPECT_THAT(spec.positions, ElementsAre(8, 9));
  EXPECT_EQ(spec.output.dtype, DataType::kBF16);
  EXPECT_TRUE(spec.output.return_lse);
  EXPECT_EQ(spec.output.weights, WeightsMode::kBiased);
  EXPECT_EQ(spec.output.top_k, 4);
  ASSERT_TRUE(decoded.session.has_value());
  EXPECT_EQ(decoded.session->session_id, "s");
  EXPECT_EQ(decoded.session->layer, 5);
  EXPECT_EQ(decoded.session->expected_length, 6);
}

TEST(ForwardCodecTest, LeavesOutWhatIsAbsent) {
  v1::ForwardRequest request;
  request.set_layer("llama/3");
  const DecodedForward decoded = DecodeText(request.SerializeAsString());
  ASSERT_TRUE(decoded.status.ok());
  EXPECT_FALSE(decoded.spec.hidden.is_present);
  EXPECT_FALSE(decoded.spec.context.is_present);
  EXPECT_FALSE(decoded.spec.attn_mask.is_present);
  EXPECT_FALSE(decoded.spec.causal.has_value());
  EXPECT_FALSE(decoded.spec.causal_offset.has_value());
  EXPECT_FALSE(decoded.session.has_value());
  // CAUSAL_NONE that is said is not the same as nothing.
  request.set_causal(v1::CAUSAL_NONE);
  EXPECT_EQ(DecodeText(request.SerializeAsString()).spec.causal,
            CausalMode::kNone);
}

TEST(ForwardCodecTest, NamesTheFieldAtFault) {
  const auto field = [](const v1::ForwardRequest& request) {
    return FieldOf(StatusOf(request)).value_or("none");
  };
  v1::ForwardRequest request = FullRequest();
  request.clear_layer();
  EXPECT_EQ(field(request), "layer");
  request = FullRequest();
  request.set_request_id(std::string(257, 'x'));
  EXPECT_EQ(field(request), "request_id");
  request = FullRequest();
  request.set_priority(static_cast<v1::Priority>(9));
  EXPECT_EQ(field(request), "priority");
  request = FullRequest();
  request.mutable_output()->mutable_shared()->set_size(8);
  EXPECT_EQ(field(request), "output.shared");
  request = FullRequest();
  request.mutable_hidden()->clear_data();
  request.mutable_hidden()->mutable_shared()->set_size(8);
  EXPECT_EQ(field(request), "hidden.shared");
}

TEST(ForwardCodecTest, EchoesTheIdOfWhatItRefuses) {
  v1::ForwardRequest request = FullRequest();
  request.clear_layer();
  EXPECT_EQ(DecodeText(request.SerializeAsString()).request_id, "id-7");
}

TEST(ForwardCodecTest, BoundsSmallFieldsAndSkipsUnknownOnes) {
  v1::ForwardRequest request = FullRequest();
  request.mutable_positions()->Resize(5 << 20, 1);
  EXPECT_THAT(StatusOf(request).message(),
              HasSubstr("bytes besides tensor data"));
  std::string text = FullRequest().SerializeAsString();
  // Field 1000, length-delimited, 6 MiB.
  text += std::string("\xc2\x3e\x80\x80\x80\x03", 6);
  text += std::string(size_t{6} << 20, 'x');
  EXPECT_TRUE(DecodeText(text).status.ok());
}

TEST(ForwardCodecTest, EveryTruncationIsAnErrorOrAMessage) {
  const std::string text = FullRequest().SerializeAsString();
  for (size_t size = 0; size < text.size(); ++size) {
    const DecodedForward decoded = DecodeText(text.substr(0, size));
    v1::ForwardRequest parsed;
    const bool parses = parsed.ParseFromString(text.substr(0, size));
    if (!parses) {
      EXPECT_FALSE(decoded.status.ok()) << size;
    }
    if (parses && !parsed.layer().empty()) {
      EXPECT_TRUE(decoded.status.ok()) << size << " " << decoded.status;
    }
  }
}

TEST(ForwardCodecTest, RefusesOrReadsAnyBytes) {
  const std::string text = FullRequest().SerializeAsString();
  for (int seed = 0; seed < 2000; ++seed) {
    test::Random random(static_cast<uint64_t>(seed));
    std::string bent = text;
    bent[static_cast<size_t>(
        random.Between(0, static_cast<int64_t>(text.size()) - 1))] ^=
        static_cast<char>(1 << random.Between(0, 7));
    FragmentedMessage message(bent, 5);
    const DecodedForward decoded = Decode(message);
    if (!decoded.status.ok()) {
      EXPECT_NE(ReasonOf(decoded.status), Reason::kNone) << "seed " << seed;
      continue;
    }
    EXPECT_EQ(message.Cut(decoded.places.hidden).size(),
              static_cast<size_t>(decoded.spec.hidden.data_bytes))
        << "seed " << seed;
  }
}

AppendKey KeyOf(const v1::ForwardRequest& request) {
  FragmentedMessage message(request.SerializeAsString());
  return HashForward(message.bytes(), Decode(message));
}

TEST(ForwardCodecTest, TheSameTokensAreTheSameAppend) {
  v1::ForwardRequest other = FullRequest();
  other.set_request_id("id-8");
  other.clear_output();
  // With a context, keys and values do not come from hidden.
  other.mutable_hidden()->set_data("xxxxXXXX");
  other.clear_positions();
  EXPECT_EQ(KeyOf(other), KeyOf(FullRequest()));
}

TEST(ForwardCodecTest, OtherTokensAreAnotherAppend) {
  v1::ForwardRequest own = FullRequest();
  own.clear_context();
  const AppendKey key = KeyOf(own);
  EXPECT_FALSE(key == KeyOf(FullRequest()));
  v1::ForwardRequest other = own;
  other.set_layer("llama/4");
  EXPECT_FALSE(key == KeyOf(other)) << "layer";
  other = own;
  other.mutable_hidden()->set_data("xxxxXXXX");
  EXPECT_FALSE(key == KeyOf(other)) << "bytes";
  other = own;
  other.mutable_hidden()->set_dtype(v1::DATA_TYPE_F16);
  EXPECT_FALSE(key == KeyOf(other)) << "dtype";
  other = own;
  other.mutable_hidden()->set_shape(1, 2);
  EXPECT_FALSE(key == KeyOf(other)) << "shape";
  other = own;
  other.set_positions(0, 7);
  EXPECT_FALSE(key == KeyOf(other)) << "positions";
}

TEST(ForwardCodecTest, AFailureCarriesItsStatusAndIdAlone) {
  v1::ForwardBatchResponse response;
  const std::vector<ForwardOutcome> outcomes{
      {.status = absl::NotFoundError("no layer"), .request_id = "a"},
      {.status = absl::CancelledError(""), .request_id = "b"}};
  ASSERT_TRUE(response.ParseFromString(Join(EncodeBatchResponse(outcomes))));
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_EQ(response.results(0).status().code(), 5);
  EXPECT_EQ(response.results(0).status().message(), "no layer");
  EXPECT_EQ(response.results(0).response().request_id(), "a");
  EXPECT_FALSE(response.results(0).response().has_output());
  EXPECT_EQ(response.results(1).status().code(), 1);
}

}  // namespace
}  // namespace attn
