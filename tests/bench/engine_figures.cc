// What the engine adds to the kernels, and what a request costs besides.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "core/base/check.h"
#include "tests/bench/figure.h"
#include "tests/bench/kernel_run.h"
#include "tests/support/engine_runner.h"
#include "tests/support/random.h"
#include "tests/support/session_runner.h"

namespace attn::bench {
namespace {

// Of the whole process.
std::atomic<int64_t> num_allocations = 0;

// 64 requests of lengths from 16 to 2048, log-uniform, by one worker.
class Ragged {
 public:
  Ragged() : engine_(std::make_unique<test::EngineRunner>(1)) {
    test::Random random(1);
    for (uint64_t i = 0; i < 64; ++i) {
      test::CaseOptions options;
      options.num_q_heads = options.num_kv_heads = 4;
      options.head_dim = options.value_head_dim = 64;
      options.q_len = options.kv_len =
          static_cast<int64_t>(16 * std::exp2(7 * random.Uniform()));
      options.seed = i;
      cases_.push_back(
          std::make_unique<test::AttentionCase>(test::MakeCase(options)));
      alone_.push_back(std::make_unique<KernelRun>(*cases_.back()));
    }
  }

  double Efficiency() {
    double alone = 0;
    for (const auto& run : alone_) alone += run->Seconds();
    std::vector<const test::AttentionCase*> all;
    for (const auto& made : cases_) all.push_back(made.get());
    const double together = SecondsOf([&] {
      for (const auto& answer : engine_->Run(all)) ATTN_CHECK(answer.ok());
    });
    return alone / together;
  }

 private:
  std::unique_ptr<test::EngineRunner> engine_;
  std::vector<std::unique_ptr<test::AttentionCase>> cases_;
  std::vector<std::unique_ptr<KernelRun>> alone_;
};

// A step of one token on a session, from the request to its end.
class Steps {
 public:
  Steps()
      : runner_(std::make_unique<test::SessionRunner>()),
        token_(test::MakeCase(One())),
        session_(runner_->Create(token_)) {}

  double AllocationsOfAStep() {
    constexpr int64_t kSteps = 1000;
    const int64_t before = num_allocations;
    for (int64_t i = 0; i < kSteps; ++i) Run();
    return static_cast<double>(num_allocations - before) / double{kSteps};
  }

 private:
  static test::CaseOptions One() {
    test::CaseOptions options;
    options.q_len = options.kv_len = 1;
    return options;
  }
  void Run() {
    auto task = runner_->Prepare(*session_, token_, {});
    ATTN_CHECK(task.ok());
    runner_->engine().SubmitAndWait(*task);
  }

  std::unique_ptr<test::SessionRunner> runner_;
  const test::AttentionCase token_;
  SessionPtr session_;
};

}  // namespace

Figures EngineFigures() {
  auto ragged =
      std::make_shared<Lazy<Ragged>>([] { return std::make_unique<Ragged>(); });
  auto steps =
      std::make_shared<Lazy<Steps>>([] { return std::make_unique<Steps>(); });
  return {{"batch.ragged.efficiency",
           "64 requests of 16 to 2048, over their kernels alone",
           Goal::kAtLeast, 0.95, [ragged] { return (**ragged).Efficiency(); }},
          {"steady.allocations_per_request",
           "a decode step in process, prepare to done", Goal::kAtMost, 0,
           [steps] { return (**steps).AllocationsOfAStep(); }}};
}

}  // namespace attn::bench

// Counted for steady.allocations_per_request.
void* operator new(std::size_t size) {
  ++attn::bench::num_allocations;
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
