#include "tests/bench/parts/wire_messages.h"

#include <algorithm>

#include "attn/v1/attention.pb.h"
#include "core/base/check.h"
#include "server/wire_codec.h"
#include "tests/support/attention_case.h"
#include "tests/support/random.h"

namespace attn::bench {
namespace {

constexpr size_t kFragmentBytes = 16384;
constexpr int64_t kDim = 128;

}  // namespace

void FillTensor(v1::Tensor& tensor, DataType dtype, int64_t heads,
                int64_t length, int64_t dim) {
  tensor.set_dtype(dtype == DataType::kBF16 ? v1::DATA_TYPE_BF16
                                            : v1::DATA_TYPE_F32);
  for (const int64_t n : {int64_t{1}, heads, length, dim}) tensor.add_shape(n);
  test::Random random(static_cast<uint64_t>(heads * length + dim));
  const std::vector<std::byte> bytes =
      test::RandomTensor(dtype, heads * length * dim, random);
  tensor.set_data(bytes.data(), bytes.size());
}

std::string LargeRequest() {
  v1::AttendRequest request;
  FillTensor(*request.mutable_query(), DataType::kF32, 8, 341, kDim);
  FillTensor(*request.mutable_key(), DataType::kF32, 8, 341, kDim);
  FillTensor(*request.mutable_value(), DataType::kF32, 8, 342, kDim);
  return request.SerializeAsString();
}

std::string DecodeStepRequest() {
  v1::AttendRequest request;
  request.set_request_id("c0ffee00-0000-4000-8000-000000000001");
  FillTensor(*request.mutable_query(), DataType::kBF16, 32, 1, kDim);
  FillTensor(*request.mutable_key(), DataType::kBF16, 8, 1, kDim);
  FillTensor(*request.mutable_value(), DataType::kBF16, 8, 1, kDim);
  request.mutable_params()->set_causal(v1::CAUSAL_BOTTOM_RIGHT);
  request.mutable_session()->set_session_id("0123456789abcdef0123456789abcdef");
  request.mutable_session()->set_layer(31);
  request.mutable_session()->set_expected_length(4096);
  request.set_priority(v1::PRIORITY_HIGH);
  return request.SerializeAsString();
}

FragmentedBytes Fragments(const std::string& message) {
  FragmentedBytes bytes;
  for (size_t at = 0; at < message.size(); at += kFragmentBytes) {
    bytes.Append(message.data() + at,
                 std::min(kFragmentBytes, message.size() - at));
  }
  return bytes;
}

void DecodeInto(FragmentedBytes bytes, std::vector<std::byte>& target) {
  const DecodedRequest decoded = DecodeRequest({bytes}, bytes.whole());
  ATTN_CHECK(decoded.status.ok());
  std::byte* to = target.data();
  for (const ByteRange& place :
       {decoded.places.query, decoded.places.key, decoded.places.value}) {
    bytes.CopyTo(place, to);
    to += place.size;
  }
}

}  // namespace attn::bench
