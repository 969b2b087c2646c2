// Attention layers from hidden states: what sharing products is worth to
// clients that decode, and how much of the machine a prompt uses.
#include <algorithm>
#include <cmath>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "core/base/check.h"
#include "tests/bench/figure.h"
#include "tests/bench/yardsticks.h"
#include "tests/support/layer_runner.h"
#include "tests/support/random.h"

namespace attn::bench {
namespace {

constexpr int64_t kHeads = 16;

std::unique_ptr<const Linear> RandomLinear(int64_t dim, uint64_t seed) {
  test::Random random(seed);
  const double range = std::sqrt(3.0 / static_cast<double>(dim));
  std::vector<float> weights(static_cast<size_t>(dim * dim));
  for (float& weight : weights) {
    weight = static_cast<float>(range * (2 * random.Uniform() - 1));
  }
  auto linear = Linear::Pack(
      {.weights = reinterpret_cast<const std::byte*>(weights.data()),
       .in_dim = dim,
       .out_dim = dim,
       .out_stride = dim},
      WeightFormat::kF32);
  ATTN_CHECK(linear.ok());
  return *std::move(linear);
}

// A Llama's, without grouped heads, in f32.
AttentionLayerPtr MakeLayer(int64_t hidden_dim) {
  auto layer = std::make_shared<AttentionLayer>();
  layer->name = "bench/0";
  layer->hidden_dim = layer->output_dim = hidden_dim;
  layer->num_q_heads = layer->num_kv_heads = kHeads;
  layer->head_dim = hidden_dim / kHeads;
  layer->query = RandomLinear(hidden_dim, 1);
  layer->key = RandomLinear(hidden_dim, 2);
  layer->value = RandomLinear(hidden_dim, 3);
  layer->output = RandomLinear(hidden_dim, 4);
  layer->rope = std::make_shared<const RopeFrequencies>(
      MakeRopeFrequencies({.rotary_dim = layer->head_dim}));
  layer->causal = CausalMode::kTopLeft;
  layer->scale = 1 / std::sqrt(static_cast<double>(layer->head_dim));
  return layer;
}

test::LayerCase RandomTokens(const AttentionLayer& layer, int64_t num_tokens,
                             uint64_t seed) {
  test::ReferenceLayer sizes;
  sizes.hidden_dim = layer.hidden_dim;
  return test::MakeLayerCase(sizes, {.q_len = num_tokens, .seed = seed});
}

int NumWorkers() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

EngineOptions BatchesOf(int64_t max_tasks) {
  EngineOptions options;
  options.batching.max_batch_tasks = max_tasks;
  return options;
}

// 64 clients in a closed loop, each of which sends a token when the one before
// is answered. Without sessions, whose attention grows from token to token and
// costs both kinds the same.
class Clients {
 public:
  Clients(AttentionLayerPtr layer, int64_t max_batch_tasks)
      : layer_(std::move(layer)),
        runner_(NumWorkers(), BatchesOf(max_batch_tasks)) {
    for (size_t i = 0; i < kClients; ++i) {
      tokens_.push_back(RandomTokens(*layer_, 1, i));
    }
  }

  double TokensPerSecond() {
    constexpr int64_t kTokens = 24;
    Run(/*tokens_each=*/2);  // Wakes the workers.
    return kClients * kTokens / SecondsOf([this] { Run(kTokens); });
  }

 private:
  static constexpr size_t kClients = 64;

  void Run(int64_t tokens_each) {
    std::vector<int64_t> left(kClients, tokens_each);
    for (size_t i = 0; i < kClients; ++i) Send(i);
    for (int64_t todo = std::ssize(left) * tokens_each; todo > 0; --todo) {
      const size_t client = AwaitAnswer();
      if (--left[client] > 0) Send(client);
    }
  }

  void Send(size_t client) {
    const auto job = runner_.Prepare({layer_, &tokens_[client]});
    ATTN_CHECK(job.ok());
    SubmitForward(*job, [this, client](ForwardJob& done) {
      ATTN_CHECK(done.status().ok());
      const absl::MutexLock lock(&mutex_);
      answered_.push_back(client);
    });
  }

  size_t AwaitAnswer() {
    const absl::MutexLock lock(
        &mutex_, absl::Condition(
                     +[](std::vector<size_t>* all) { return !all->empty(); },
                     &answered_));
    const size_t client = answered_.back();
    answered_.pop_back();
    return client;
  }

  const AttentionLayerPtr layer_;
  std::vector<test::LayerCase> tokens_;
  absl::Mutex mutex_;
  std::vector<size_t> answered_ ABSL_GUARDED_BY(mutex_);
  test::LayerRunner runner_;  // Before what it calls.
};

// Both kinds of clients, on one layer.
struct DecodeOfMany {
  AttentionLayerPtr layer = MakeLayer(1024);
  Clients batched{layer, BatchLimits{}.max_batch_tasks};
  Clients unbatched{layer, 1};

  double Speedup() {
    const double before = unbatched.TokensPerSecond();
    const double rate = batched.TokensPerSecond();
    return rate / ((before + unbatched.TokensPerSecond()) / 2);
  }
};

// A prompt through a layer, by all workers.
class Prompt {
 public:
  Prompt() : runner_(NumWorkers()) {}

  double PeakFraction() {
    Run();  // Wakes the workers.
    const double before = FmaFlops(NumWorkers());
    Run();
    const double seconds = SecondsOf([this] { Run(); });
    const double peak = (before + FmaFlops(NumWorkers())) / 2;
    return kFlops / seconds / peak;
  }

 private:
  static constexpr int64_t kHidden = 2048;
  static constexpr int64_t kTokens = 2048;
  // Four projections, and two products over the pairs that causality leaves.
  static constexpr double kFlops = 4 * 2.0 * kTokens * kHidden * kHidden +
                                   4.0 * kTokens * (kTokens + 1) / 2 * kHidden;

  void Run() { ATTN_CHECK(runner_.Run(layer_, prompt_).ok()); }

  const AttentionLayerPtr layer_ = MakeLayer(kHidden);
  const test::LayerCase prompt_ = RandomTokens(*layer_, kTokens, 1);
  test::LayerRunner runner_;
};

}  // namespace

Figures LayerFigures() {
  auto decode = std::make_shared<Lazy<DecodeOfMany>>(
      [] { return std::make_unique<DecodeOfMany>(); });
  auto prompt =
      std::make_shared<Lazy<Prompt>>([] { return std::make_unique<Prompt>(); });
  return {
      {"layer.decode.batch64.speedup_vs_unbatched",
       "64 clients, a token each, hidden 1024, over batches of 1",
       Goal::kAtLeast, 8, [decode] { return (**decode).Speedup(); }},
      {"layer.prefill.peak_fraction",
       "2048 tokens, hidden 2048, over FMA peak, all workers", Goal::kAtLeast,
       0.75, [prompt] { return (**prompt).PeakFraction(); }}};
}

}  // namespace attn::bench
