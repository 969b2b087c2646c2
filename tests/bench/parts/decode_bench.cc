// The decode kernel: one query token of 4 heads a KV head over the pages of a
// session, on the calling thread and without the engine.
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "core/attention/kernel_choice.h"
#include "core/base/check.h"
#include "core/engine/float_mode.h"
#include "tests/bench/parts/counters.h"
#include "tests/support/session_runner.h"

namespace attn::bench {
namespace {

constexpr int64_t kKvHeads = 4;
constexpr int64_t kGroup = 4;

test::CaseOptions Sized(int64_t group, int64_t length) {
  test::CaseOptions options;
  options.num_kv_heads = kKvHeads;
  options.num_q_heads = kKvHeads * group;
  options.q_len = options.kv_len = length;
  options.head_dim = options.value_head_dim = 128;
  return options;
}

// A session of `tokens`, a multiple of 1024, and a step on it.
class PagedStep {
 public:
  PagedStep(KvDtype dtype, int64_t tokens)
      : runner_(std::make_unique<test::SessionRunner>(int64_t{1} << 30)),
        step_(test::MakeCase(Sized(kGroup, 1))),
        outputs_(step_.plan) {
    constexpr int64_t kPiece = 1024;
    test::CaseOptions options = Sized(1, kPiece);
    for (int64_t length = 0; length < tokens; length += kPiece) {
      ++options.seed;
      const test::AttentionCase piece = test::MakeCase(options);
      if (session_ == nullptr) session_ = runner_->Create(piece, dtype);
      ATTN_CHECK(runner_->Append(*session_, piece, {}).ok());
    }
    snapshot_ = session_->Lock(0)->Snapshot();
    step_.plan.geometry.kv_len = step_.plan.mask_kv_len = tokens;
    step_.plan.has_session = true;
    kernel_ = ChooseKernel(step_.plan);
    buffers_ = step_.Inputs();
    buffers_.paged = snapshot_.View();
    outputs_.AddTo(buffers_);
  }
  void Run() {
    for (int64_t head = 0; head < kKvHeads; ++head) {
      const Problem problem = MakeProblem(step_.plan, buffers_, 0, head);
      ATTN_CHECK(
          AttendRows(kernel_, problem, {0, kGroup}, *gemm_, arena_).ok());
    }
  }
  int64_t kv_bytes() const { return session_->MeasureUsage().kv_bytes; }

 private:
  const std::unique_ptr<test::SessionRunner> runner_;
  SessionPtr session_;
  KvSnapshot snapshot_;
  test::AttentionCase step_;
  test::AttentionOutputs outputs_;
  RequestBuffers buffers_;
  KernelChoice kernel_;
  const std::unique_ptr<TileGemm> gemm_ = MakeTileGemm(Isa::kAuto);
  ScratchArena arena_;
};

// Google Benchmark runs a function several times to find its number of
// iterations; filling a session takes seconds.
PagedStep& StepOf(KvDtype dtype, int64_t tokens) {
  static std::pair<KvDtype, int64_t> kept_key;
  static std::unique_ptr<PagedStep> kept;
  const std::pair key(dtype, tokens);
  if (kept == nullptr || kept_key != key) {
    kept.reset();  // Before the next one takes memory.
    kept = std::make_unique<PagedStep>(dtype, tokens);
    kept_key = key;
  }
  return *kept;
}

void DecodeStep(benchmark::State& state, KvDtype dtype) {
  const int64_t tokens = state.range(0);
  PagedStep& step = StepOf(dtype, tokens);
  FlushDenormals();
  while (state.KeepRunning()) {
    step.Run();
    benchmark::ClobberMemory();
  }
  CountFlops(state, 4.0 * 128 * double{kKvHeads * kGroup} *
                        static_cast<double>(tokens));
  CountBytes(state, step.kv_bytes());
  CountItems(state, 1);
}

void Lengths(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("keys")->Arg(1 << 10)->Arg(32 << 10);
  benchmark->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(DecodeStep, f32, KvDtype::kF32)->Apply(Lengths);
BENCHMARK_CAPTURE(DecodeStep, f16, KvDtype::kF16)->Apply(Lengths);
BENCHMARK_CAPTURE(DecodeStep, bf16, KvDtype::kBF16)->Apply(Lengths);
BENCHMARK_CAPTURE(DecodeStep, int8, KvDtype::kInt8)->Apply(Lengths);

}  // namespace
}  // namespace attn::bench
