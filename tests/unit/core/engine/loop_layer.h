// A small layer whose linears are plain loops that count their calls, for
// tests of the engine.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/layer/attention_layer.h"
#include "tests/support/random.h"

namespace attn::test {

// Weights [in_dim, out_dim]. Thread-safe.
class LoopLinear final : public Linear {
 public:
  LoopLinear(int64_t in_dim, int64_t out_dim, std::vector<float> weights)
      : in_dim_(in_dim), out_dim_(out_dim), weights_(std::move(weights)) {}

  int64_t in_dim() const override { return in_dim_; }
  int64_t out_dim() const override { return out_dim_; }
  int64_t bytes() const override { return in_dim_ * out_dim_ * 4; }
  int64_t block_channels() const override { return 6; }

  absl::Status MultiplyBlock(int64_t block, int64_t num_rows, InRows in,
                             OutRows out, ScratchArena&) const override {
    ++num_calls_;
    if (fails) return absl::InternalError("a broken linear");
    const int64_t first = block * block_channels();
    const int64_t last = std::min(out_dim_, first + block_channels());
    for (int64_t r = 0; r < num_rows; ++r) {
      for (int64_t c = first; c < last; ++c) {
        float sum = 0;
        for (int64_t k = 0; k < in_dim_; ++k) {
          sum = std::fma(in.data[r * in.stride + k],
                         weights_[static_cast<size_t>(k * out_dim_ + c)], sum);
        }
        out.data[r * out.stride + c - first] = sum;
      }
    }
    return absl::OkStatus();
  }

  int64_t num_calls() const { return num_calls_; }
  bool fails = false;

 private:
  const int64_t in_dim_;
  const int64_t out_dim_;
  const std::vector<float> weights_;
  mutable std::atomic<int64_t> num_calls_{0};
};

inline std::unique_ptr<LoopLinear> IdentityLinear(int64_t dim) {
  std::vector<float> weights(static_cast<size_t>(dim * dim));
  for (int64_t i = 0; i < dim; ++i) {
    weights[static_cast<size_t>(i * dim + i)] = 1;
  }
  return std::make_unique<LoopLinear>(dim, dim, std::move(weights));
}

inline std::unique_ptr<LoopLinear> RandomLinear(int64_t in_dim, int64_t out_dim,
                                                uint64_t seed) {
  Random random(seed);
  std::vector<float> weights(static_cast<size_t>(in_dim * out_dim));
  for (float& weight : weights) {
    weight = static_cast<float>(random.Gaussian() / std::sqrt(in_dim));
  }
  return std::make_unique<LoopLinear>(in_dim, out_dim, std::move(weights));
}

inline constexpr int64_t kLoopHidden = 20;

// Two query heads on one KV head of 10 channels, causal, with rope.
inline std::shared_ptr<AttentionLayer> MakeLoopLayer(uint64_t seed = 1) {
  auto layer = std::make_shared<AttentionLayer>();
  layer->name = "loop/0";
  layer->hidden_dim = kLoopHidden;
  layer->output_dim = 14;
  layer->num_q_heads = 2;
  layer->num_kv_heads = 1;
  layer->head_dim = 10;
  layer->query = RandomLinear(kLoopHidden, 20, seed);
  layer->key = RandomLinear(kLoopHidden, 10, seed + 1);
  layer->value = RandomLinear(kLoopHidden, 10, seed + 2);
  layer->output = RandomLinear(20, 14, seed + 3);
  layer->rope = std::make_shared<RopeFrequencies>(
      MakeRopeFrequencies({.theta = 100, .rotary_dim = 10}));
  layer->causal = CausalMode::kTopLeft;
  layer->scale = 1 / std::sqrt(10.0);
  return layer;
}

}  // namespace attn::test
