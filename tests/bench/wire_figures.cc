// CPU time of getting a request's tensors out of a message: pass 1 and pass 2
// of the raw codec over what generated code takes for the same.
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "attn/v1/attention.pb.h"
#include "core/base/check.h"
#include "tests/bench/figure.h"
#include "tests/bench/parts/wire_messages.h"

namespace attn::bench {
namespace {

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) / 1e9;
}

class Codecs {
 public:
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

  void ReadRaw() { DecodeInto(Fragments(message_), target_); }

  // Into the same memory.
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

  const std::string message_ = LargeRequest();
  std::vector<std::byte> target_{message_.size()};
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
