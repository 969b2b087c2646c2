#include "tests/bench/parts/wire_messages.h"

#include <algorithm>

#include "attn/v1/attention.pb.h"
#include "tests/support/random.h"

namespace attn::bench {
namespace {

constexpr size_t kFragmentBytes = 16384;

// [1, heads, length, 128] of random bytes.
void Fill(v1::Tensor& tensor, v1::DataType dtype, int64_t heads,
          int64_t length) {
  constexpr int64_t kDim = 128;
  tensor.set_dtype(dtype);
  for (const int64_t dim : {int64_t{1}, heads, length, kDim}) {
    tensor.add_shape(dim);
  }
  const int64_t element = dtype == v1::DATA_TYPE_F32 ? 4 : 2;
  std::string& data = *tensor.mutable_data();
  data.resize(static_cast<size_t>(heads * length * kDim * element));
  test::Random random(static_cast<uint64_t>(heads));
  for (char& byte : data) byte = static_cast<char>(random.Next());
}

}  // namespace

std::string LargeRequest() {
  v1::AttendRequest request;
  Fill(*request.mutable_query(), v1::DATA_TYPE_F32, 8, 341);
  Fill(*request.mutable_key(), v1::DATA_TYPE_F32, 8, 341);
  Fill(*request.mutable_value(), v1::DATA_TYPE_F32, 8, 342);
  return request.SerializeAsString();
}

std::string DecodeStepRequest() {
  v1::AttendRequest request;
  request.set_request_id("c0ffee00-0000-4000-8000-000000000001");
  Fill(*request.mutable_query(), v1::DATA_TYPE_BF16, 32, 1);
  Fill(*request.mutable_key(), v1::DATA_TYPE_BF16, 8, 1);
  Fill(*request.mutable_value(), v1::DATA_TYPE_BF16, 8, 1);
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

}  // namespace attn::bench
