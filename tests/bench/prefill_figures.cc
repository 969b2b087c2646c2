// Long queries: FLOP/s of unmasked pairs over those of multiply-adds alone.
#include "tests/bench/figure.h"
#include "tests/bench/kernel_run.h"
#include "tests/bench/yardsticks.h"

namespace attn::bench {
namespace {

constexpr int64_t kLength = 2048;
constexpr int64_t kHeads = 16;

std::unique_ptr<KernelRun> Prefill(int64_t head_dim, CausalMode causal,
                                   DataType dtype) {
  test::CaseOptions options;
  options.num_q_heads = options.num_kv_heads = kHeads;
  options.q_len = options.kv_len = kLength;
  options.head_dim = options.value_head_dim = head_dim;
  options.params.causal = causal;
  options.dtype = dtype;
  return std::make_unique<KernelRun>(test::MakeCase(options));
}

// Shared by figures that run the same problem.
Lazy<KernelRun>& PlainD128() {
  static Lazy<KernelRun> run(
      [] { return Prefill(128, CausalMode::kNone, DataType::kF32); });
  return run;
}

double Flops(const KernelRun& run, double pairs_of_a_head) {
  const Geometry& g = run.geometry();
  return 4 * pairs_of_a_head * static_cast<double>(g.num_q_heads) *
         static_cast<double>(g.head_dim);
}

constexpr double kAllPairs = double{kLength} * kLength;
constexpr double kCausalPairs = double{kLength} * (kLength + 1) / 2;

double PeakFraction(KernelRun& run, double pairs) {
  const double peak = FmaFlops();
  const double flops = Flops(run, pairs) / run.Seconds();
  return flops / ((peak + FmaFlops()) / 2);
}

Figure PeakFigure(const char* name, const char* what, double target,
                  std::function<std::unique_ptr<KernelRun>()> make,
                  double pairs) {
  auto run = std::make_shared<Lazy<KernelRun>>(std::move(make));
  return {name, what, Goal::kAtLeast, target,
          [run, pairs] { return PeakFraction(**run, pairs); }};
}

// Two workers over one, by the same of the multiply-adds.
double Scaling() {
  KernelRun& run = *PlainD128();
  const double yardstick = FmaFlops(2) / FmaFlops(1);
  const double one = run.Seconds(1);
  return one / run.Seconds(2) / yardstick;
}

double Bf16Speed() {
  static Lazy<KernelRun> bf16(
      [] { return Prefill(128, CausalMode::kNone, DataType::kBF16); });
  const double f32 = (*PlainD128()).Seconds();
  return f32 / (*bf16).Seconds();
}

}  // namespace

Figures PrefillFigures() {
  return {
      {"prefill.f32.d128.t1.peak_fraction",
       "S 2048, 16 heads, over FMA peak, 1 worker", Goal::kAtLeast, 0.82,
       [] { return PeakFraction(*PlainD128(), kAllPairs); }},
      PeakFigure(
          "prefill.f32.d64.t1.peak_fraction", "the same, head_dim 64", 0.74,
          [] { return Prefill(64, CausalMode::kNone, DataType::kF32); },
          kAllPairs),
      {"prefill.f32.d128.t2.scaling",
       "2 workers over 1, over the same of the FMA loop", Goal::kAtLeast, 0.97,
       Scaling},
      PeakFigure(
          "prefill.causal.d128.peak_fraction", "causal, unmasked pairs", 0.78,
          [] { return Prefill(128, CausalMode::kTopLeft, DataType::kF32); },
          kCausalPairs),
      {"prefill.bf16.d128.speed_vs_f32", "bf16 in and out over f32",
       Goal::kAtLeast, 0.95, Bf16Speed}};
}

}  // namespace attn::bench
