// Single queries over long sessions: bytes of pages read a second over those of
// the read loop; int8 by time a token; forks that share a prefix.
#include <memory>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "tests/bench/figure.h"
#include "tests/bench/kernel_run.h"
#include "tests/bench/yardsticks.h"
#include "tests/support/session_runner.h"

namespace attn::bench {
namespace {

constexpr int64_t kTokens = 32768;
constexpr int64_t kDim = 128;

test::CaseOptions Sized(int64_t kv_heads, int64_t group, int64_t q_len,
                        int64_t kv_len) {
  test::CaseOptions options;
  options.num_kv_heads = kv_heads;
  options.num_q_heads = kv_heads * group;
  options.q_len = q_len;
  options.kv_len = kv_len;
  options.head_dim = options.value_head_dim = kDim;
  return options;
}

// One query over a session of kTokens and 4 KV heads.
class Decode {
 public:
  Decode(int64_t group, KvDtype dtype)
      : runner_(std::make_unique<test::SessionRunner>(int64_t{2} << 30)) {
    constexpr int64_t kPiece = 4096;
    const test::AttentionCase piece =
        test::MakeCase(Sized(kKvHeads, 1, kPiece, kPiece));
    session_ = runner_->Create(piece, dtype);
    for (int64_t i = 0; i < kTokens / kPiece; ++i) {
      ATTN_CHECK(runner_->Append(*session_, piece, {}).ok());
    }
    snapshot_ = session_->Lock(0)->Snapshot();
    // Its keys and values are dims alone: those of the pages are read.
    test::AttentionCase step = test::MakeCase(Sized(kKvHeads, group, 1, 1));
    step.plan.geometry.kv_len = step.plan.mask_kv_len = kTokens;
    step.plan.has_session = true;
    run_ = std::make_unique<KernelRun>(std::move(step), snapshot_.View());
  }
  double Seconds() { return run_->Seconds(); }
  double Bytes() const {
    return static_cast<double>(session_->MeasureUsage().kv_bytes);
  }

 private:
  static constexpr int64_t kKvHeads = 4;
  std::unique_ptr<test::SessionRunner> runner_;
  SessionPtr session_;
  KvSnapshot snapshot_;
  std::unique_ptr<KernelRun> run_;
};

using LazyDecode = std::shared_ptr<Lazy<Decode>>;

LazyDecode MakeLazy(int64_t group, KvDtype dtype) {
  return std::make_shared<Lazy<Decode>>(
      [group, dtype] { return std::make_unique<Decode>(group, dtype); });
}

Figure Bandwidth(const char* name, const char* what, double target,
                 const LazyDecode& decode) {
  return {name, what, Goal::kAtLeast, target, [decode] {
            const double before = ReadBytesPerSecond();
            const double rate = (**decode).Bytes() / (**decode).Seconds();
            return rate / ((before + ReadBytesPerSecond()) / 2);
          }};
}

// 16 sessions of a prefix of 4096 and 64 tokens of their own, 8 KV heads.
class Cascade {
 public:
  explicit Cascade(int64_t group)
      : runner_(std::make_unique<test::SessionRunner>(int64_t{4} << 30)) {
    const auto prefix = test::MakeCase(Sized(8, 1, 4096, 4096));
    const auto own = test::MakeCase(Sized(8, 1, 64, 64));
    const SessionPtr root = Filled(prefix);
    for (uint64_t i = 0; i < 16; ++i) {
      forks_.push_back(*runner_->store().Fork(runner_->tenant(), root->id(), "",
                                              std::nullopt));
      alone_.push_back(Filled(prefix));
      for (const SessionPtr& session : {forks_.back(), alone_.back()}) {
        ATTN_CHECK(runner_->Append(*session, own, {}).ok());
      }
      test::CaseOptions step = Sized(8, group, 1, 1);
      step.seed = i;
      steps_.push_back(test::MakeCase(step));
      // It only asks.
      steps_.back().spec.key.is_present = false;
      steps_.back().spec.value.is_present = false;
    }
  }
  double Speedup() {
    const double alone = Seconds(alone_);
    return alone / Seconds(forks_);
  }

 private:
  SessionPtr Filled(const test::AttentionCase& tokens) {
    SessionPtr session = runner_->Create(tokens);
    ATTN_CHECK(runner_->Append(*session, tokens, {}).ok());
    return session;
  }
  double Seconds(const std::vector<SessionPtr>& sessions) {
    return SecondsOf([&] {
      for (const auto& answer : runner_->AttendAll(sessions, steps_, {})) {
        ATTN_CHECK(answer.ok());
      }
    });
  }

  std::unique_ptr<test::SessionRunner> runner_;
  std::vector<SessionPtr> forks_, alone_;
  std::vector<test::AttentionCase> steps_;
};

Figure CascadeFigure(const char* name, const char* what, int64_t group) {
  auto cascade = std::make_shared<Lazy<Cascade>>(
      [group] { return std::make_unique<Cascade>(group); });
  return {name, what, Goal::kAtLeast, 6,
          [cascade] { return (**cascade).Speedup(); }};
}

}  // namespace

Figures DecodeFigures() {
  const LazyDecode f32_g4 = MakeLazy(4, KvDtype::kF32);
  const LazyDecode i8_g4 = MakeLazy(4, KvDtype::kInt8);
  return {
      Bandwidth("decode.f32.g1.bandwidth_fraction",
                "1 query over 32k keys, over the read loop", 0.95,
                MakeLazy(1, KvDtype::kF32)),
      Bandwidth("decode.f32.g4.bandwidth_fraction", "4 query heads a KV head",
                0.92, f32_g4),
      Bandwidth("decode.f16.g4.bandwidth_fraction", "f16 pages", 0.86,
                MakeLazy(4, KvDtype::kF16)),
      Bandwidth("decode.bf16.g4.bandwidth_fraction", "bf16 pages", 0.86,
                MakeLazy(4, KvDtype::kBF16)),
      {"decode.i8.g4.speed_vs_f32", "time a token", Goal::kAtLeast, 2.8,
       [f32_g4, i8_g4] {
         const double f32 = (**f32_g4).Seconds();
         return f32 / (**i8_g4).Seconds();
       }},
      CascadeFigure("decode.cascade.n16.p4096.speedup",
                    "16 forks of 4096 tokens over unshared ones, 1 query a KV "
                    "head",
                    1),
      CascadeFigure("decode.cascade.n16.p4096.g4.speedup",
                    "the same, 4 query heads a KV head", 4)};
}

}  // namespace attn::bench
