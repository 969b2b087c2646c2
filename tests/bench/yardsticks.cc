#include "tests/bench/yardsticks.h"

#include <algorithm>
#include <numeric>
#include <thread>
#include <vector>

#include "core/base/check.h"
#include "core/memory/aligned_buffer.h"
#include "tests/bench/figure.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/yardsticks.cc"
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attn::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;

// Twelve sums, which hide the latency of a multiply-add on two ports; each from
// a start of its own, since a compiler computes equal ones once. Returns the
// operations; `sink` keeps the compiler from dropping them.
double MultiplyAdd(int64_t rounds, float* sink) {
  const Tag tag;
  const auto factor = hn::Set(tag, 0.999f);
  const auto term = hn::Set(tag, 1e-3f);
  const auto start = [&](float value) { return hn::Set(tag, *sink + value); };
  auto a0 = start(0), a1 = start(1), a2 = start(2), a3 = start(3),
       a4 = start(4), a5 = start(5), a6 = start(6), a7 = start(7),
       a8 = start(8), a9 = start(9), a10 = start(10), a11 = start(11);
  for (int64_t i = 0; i < rounds; ++i) {
    a0 = hn::MulAdd(a0, factor, term);
    a1 = hn::MulAdd(a1, factor, term);
    a2 = hn::MulAdd(a2, factor, term);
    a3 = hn::MulAdd(a3, factor, term);
    a4 = hn::MulAdd(a4, factor, term);
    a5 = hn::MulAdd(a5, factor, term);
    a6 = hn::MulAdd(a6, factor, term);
    a7 = hn::MulAdd(a7, factor, term);
    a8 = hn::MulAdd(a8, factor, term);
    a9 = hn::MulAdd(a9, factor, term);
    a10 = hn::MulAdd(a10, factor, term);
    a11 = hn::MulAdd(a11, factor, term);
  }
  const auto sum = hn::Add(hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)),
                                   hn::Add(hn::Add(a4, a5), hn::Add(a6, a7))),
                           hn::Add(hn::Add(a8, a9), hn::Add(a10, a11)));
  *sink = hn::GetLane(hn::SumOfLanes(tag, sum));
  return 2.0 * 12 * static_cast<double>(hn::Lanes(tag)) *
         static_cast<double>(rounds);
}

float ReadAll(const float* data, int64_t n) {
  const Tag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  auto a = hn::Zero(tag), b = a, c = a, d = a;
  for (int64_t i = 0; i + 4 * lanes <= n; i += 4 * lanes) {
    a = hn::Add(a, hn::Load(tag, data + i));
    b = hn::Add(b, hn::Load(tag, data + i + lanes));
    c = hn::Add(c, hn::Load(tag, data + i + 2 * lanes));
    d = hn::Add(d, hn::Load(tag, data + i + 3 * lanes));
  }
  return hn::GetLane(
      hn::SumOfLanes(tag, hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

}  // namespace attn::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn::bench {

HWY_EXPORT(MultiplyAdd);
HWY_EXPORT(ReadAll);

namespace {

volatile float kept = 0;

// Random data, never zeros.
AlignedBuffer MakeBlock(int64_t bytes) {
  auto buffer = AlignedBuffer::Allocate(bytes);
  ATTN_CHECK(buffer.ok());
  auto* values = reinterpret_cast<float*>(buffer->data());
  uint32_t state = 1;
  for (int64_t i = 0; i < bytes / 4; ++i) {
    state = state * 1664525 + 1013904223;
    values[i] = static_cast<float>(state >> 8) * 0x1p-24f;
  }
  return *std::move(buffer);
}

}  // namespace

void WarmUp() {
  float sink = 0;
  HWY_DYNAMIC_DISPATCH(MultiplyAdd)(5'000'000, &sink);
  kept = sink;
}

double FmaFlops(int num_threads) {
  constexpr int64_t kRounds = 10'000'000;
  std::vector<double> rates(static_cast<size_t>(num_threads));
  std::vector<std::thread> threads;
  for (double& rate : rates) {
    threads.emplace_back([&rate] {
      WarmUp();
      float sink = 0;
      double flops = 0;
      const double seconds = SecondsOf(
          [&] { flops = HWY_DYNAMIC_DISPATCH(MultiplyAdd)(kRounds, &sink); });
      kept = sink;
      rate = flops / seconds;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

double ReadBytesPerSecond() {
  constexpr int64_t kBytes = int64_t{512} << 20;
  static const AlignedBuffer block = MakeBlock(kBytes);
  WarmUp();
  const double seconds = SecondsOf([] {
    kept = HWY_DYNAMIC_DISPATCH(ReadAll)(
        reinterpret_cast<const float*>(block.data()), kBytes / 4);
  });
  return static_cast<double>(kBytes) / seconds;
}

}  // namespace attn::bench
#endif  // HWY_ONCE
