// CPU time of getting a request's tensors out of a message: pass 1 and pass 2
// of the raw codec over what generated code takes for the same.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "attn/v1/attention.pb.h"
#include "core/base/check.h"
#include "server/wire_codec.h"
#include "tests/bench/figure.h"

namespace attn::bench {
namespace {

// As gRPC hands out what came over HTTP/2.
constexpr size_t kFragmentBytes = 16384;

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) / 1e9;
}

void Fill(v1::Tensor& tensor, int64_t length) {
  tensor.set_dtype(v1::DATA_TYPE_F32);
  for (const int64_t dim : {int64_t{1}, int64_t{8}, length, int64_t{128}}) {
    tensor.add_shape(dim);
  }
  std::string& data = *tensor.mutable_data();
  data.resize(static_cast<size_t>(8 * length * 128 * 4));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31);
}

class Codecs {
 public:
  Codecs() {
    v1::AttendRequest request;
    Fill(*request.mutable_query(), 341);
    Fill(*request.mutable_key(), 341);
    Fill(*request.mutable_value(), 342);
    message_ = request.SerializeAsString();
    target_.resize(message_.size());
  }

  double Ratio() {
    const double raw = Seconds([this] { ReadRaw(); });
    return raw / Seconds([this] { ReadGenerated(); });
  }

 private:
  template <typename Work>
  static double Seconds(const Work& work) {
    constexpr int kRounds = 20;
    const double start = CpuSeconds();
    for (int i = 0; i < kRounds; ++i) work();
    return (CpuSeconds() - start) / kRounds;
  }

  void ReadRaw() {
    FragmentedBytes bytes;
    for (size_t at = 0; at < message_.size(); at += kFragmentBytes) {
      bytes.Append(message_.data() + at,
                   std::min(kFragmentBytes, message_.size() - at));
    }
    const DecodedRequest decoded = DecodeRequest({bytes}, bytes.whole());
    ATTN_CHECK(decoded.status.ok());
    std::byte* to = target_.data();
    for (const ByteRange& place :
         {decoded.places.query, decoded.places.key, decoded.places.value}) {
      bytes.CopyTo(place, to);
      to += place.size;
    }
  }

  // Into the engine's buffers, as above.
  void ReadGenerated() {
    v1::AttendRequest request;
    ATTN_CHECK(request.ParseFromString(message_));
    std::byte* to = target_.data();
    for (const v1::Tensor* tensor :
         {&request.query(), &request.key(), &request.value()}) {
      std::memcpy(to, tensor->data().data(), tensor->data().size());
      to += tensor->data().size();
    }
  }

  std::string message_;
  std::vector<std::byte> target_;
};

}  // namespace

Figures WireFigures() {
  auto codecs =
      std::make_shared<Lazy<Codecs>>([] { return std::make_unique<Codecs>(); });
  return {{"wire.decode_cpu_ratio_raw_vs_generated.4mib",
           "CPU time to decode 4 MiB, raw codec over generated code, no gRPC",
           Goal::kAtMost, 0.5, [codecs] { return (**codecs).Ratio(); }}};
}

}  // namespace attn::bench
