#include "tests/support/layer_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "tests/support/rounding.h"

namespace attn::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kExpError = 4e-7;
constexpr double kLargestCode = 127;

// One output channel as codes with a scale. Quotients carry three roundings of
// f32, so that codes are in doubt within 127 * 3 u = 2.3e-5 of a tie.
void KeepAsInt8(double* weights, double* doubt, size_t n) {
  double largest = 0;
  for (size_t i = 0; i < n; ++i) {
    largest = std::max(largest, std::fabs(weights[i]));
  }
  if (largest == 0) return;
  const double scale = largest / kLargestCode;
  for (size_t i = 0; i < n; ++i) {
    const double quotient = weights[i] / scale;
    const double code = std::nearbyint(quotient);
    const bool is_near_tie = std::fabs(std::fabs(quotient - code) - 0.5) < 4e-5;
    weights[i] = code * scale;
    doubt[i] = 2 * kUnit * std::fabs(weights[i]) + (is_near_tie ? scale : 0);
  }
}

BoundedLinear Keep(const WrittenLinear& written, WeightFormat format) {
  BoundedLinear kept{.in_dim = written.in_dim,
                     .out_dim = written.out_dim,
                     .weights = written.weights,
                     .bias = written.bias};
  if (format == WeightFormat::kInt8) {
    kept.doubt.resize(kept.weights.size());
    const auto n = static_cast<size_t>(kept.in_dim);
    for (size_t at = 0; at < kept.weights.size(); at += n) {
      KeepAsInt8(kept.weights.data() + at, kept.doubt.data() + at, n);
    }
  }
  // Of what is stored as F64, biases are kept as F32, too.
  for (double& bias : kept.bias) bias = RoundedTo(DataType::kF32, bias);
  if (format == WeightFormat::kInt8) return kept;
  const DataType dtype = format == WeightFormat::kF16    ? DataType::kF16
                         : format == WeightFormat::kBF16 ? DataType::kBF16
                                                         : DataType::kF32;
  for (double& weight : kept.weights) weight = RoundedTo(dtype, weight);
  return kept;
}

bool HasWindow(const CheckpointOptions& o, int64_t index) {
  if (o.model_type == "mistral") return true;
  return (o.model_type == "qwen2" || o.model_type == "qwen3") &&
         index >= o.max_window_layers;
}

// What config.json says beside the sizes.
void Configure(const CheckpointOptions& o, int64_t index,
               ReferenceLayer& layer) {
  layer.scale = 1 / std::sqrt(static_cast<double>(layer.head_dim));
  layer.causal =
      o.model_type == "bert" ? CausalMode::kNone : CausalMode::kTopLeft;
  if (o.model_type == "gpt2") {
    if (!o.scales_by_head_dim) layer.scale = 1;
    if (o.scales_by_layer) layer.scale /= static_cast<double>(index + 1);
  }
  if (!o.is_llama_like()) return;
  RopeConfig rope = o.rope;
  if (rope.rotary_dim == 0) rope.rotary_dim = o.head_dim;
  layer.rope = MakeRopeReference(rope);
  if (HasWindow(o, index)) layer.window = o.window;
}

// Where the rows and channels of one request lie.
class Forward {
 public:
  Forward(const ReferenceLayer& layer, const LayerRequest& request)
      : layer_(layer), request_(request) {}

  Bounded Run() {
    const Bounded hidden = Bounded::Exact(request_.hidden);
    const Bounded& source = request_.context.has_value()
                                ? Bounded::Exact(*request_.context)
                                : hidden;
    query_ = Project(layer_.query, hidden);
    key_ = Project(layer_.key, source);
    value_ = Project(layer_.value, source);
    if (!layer_.query_norm.empty()) {
      NormHeads(layer_.query_norm, layer_.norm_epsilon, query_);
      NormHeads(layer_.key_norm, layer_.norm_epsilon, key_);
    }
    TurnRows(layer_.num_q_heads, request_.q_len, request_.positions, query_);
    TurnRows(layer_.num_kv_heads, request_.kv_len(), KeyPositions(), key_);
    Round(request_.kv_dtype, key_);
    Round(request_.kv_dtype, value_);
    Bounded output = Project(layer_.output, Attend());
    Round(request_.output_dtype, output);
    return output;
  }

 private:
  // A row's score of one allowed key, then its weight.
  struct Scored {
    int64_t key = 0;
    double value = 0;
    double error = 0;
  };

  static void Round(DataType dtype, Bounded& numbers) {
    if (dtype == DataType::kF32) return;
    AddRounding(UnitRoundoff(dtype) * 1.001,
                std::ldexp(0.5, ShapeOf(dtype).least_exponent), numbers);
  }

  std::vector<int64_t> KeyPositions() const {
    return request_.context.has_value() ? std::vector<int64_t>()
                                        : request_.positions;
  }

  // rows: [B, length, heads, head_dim]
  void TurnRows(int64_t heads, int64_t length,
                const std::vector<int64_t>& positions, Bounded& rows) {
    if (layer_.rope.per_position.empty()) return;
    size_t at = 0;
    for (int64_t row = 0; row < request_.batch_size * length; ++row) {
      const int64_t token = row % length;
      const double position = static_cast<double>(
          positions.empty() ? token : positions[static_cast<size_t>(token)]);
      Turn turn{.magnitude = layer_.rope.magnitude};
      for (const double frequency : layer_.rope.per_position) {
        turn.angles.push_back(position * frequency);
      }
      for (int64_t head = 0; head < heads; ++head) {
        TurnHead(turn, rows.value.data() + at, rows.error.data() + at);
        at += static_cast<size_t>(layer_.head_dim);
      }
    }
  }

  // [B, q_len, num_q_heads * head_dim]
  Bounded Attend() {
    Bounded output;
    for (int64_t b = 0; b < request_.batch_size; ++b) {
      for (int64_t row = 0; row < request_.q_len; ++row) {
        for (int64_t head = 0; head < layer_.num_q_heads; ++head) {
          std::vector<Scored> keys = Score(b, row, head);
          Weigh(keys);
          Sum(b, head, keys, output);
        }
      }
    }
    return output;
  }

  int64_t KvLength(int64_t b) const {
    return request_.kv_lengths.empty()
               ? request_.kv_len()
               : request_.kv_lengths[static_cast<size_t>(b)];
  }

  // proto/README.md's table of offsets, stateless.
  int64_t Position(int64_t b, int64_t row) const {
    if (request_.causal_offset.has_value()) {
      return *request_.causal_offset + row;
    }
    const CausalMode causal = request_.causal.value_or(layer_.causal);
    const bool ends_with_keys =
        causal == CausalMode::kBottomRight ||
        (causal == CausalMode::kNone && !request_.kv_lengths.empty());
    return ends_with_keys ? KvLength(b) - request_.q_len + row : row;
  }

  bool IsAllowed(int64_t b, int64_t row, int64_t key) const {
    const int64_t position = Position(b, row);
    if (key >= KvLength(b)) return false;
    const CausalMode causal = request_.causal.value_or(layer_.causal);
    if (causal != CausalMode::kNone && key > position) return false;
    return layer_.window == 0 || position - key < layer_.window;
  }

  double MaskAt(int64_t b, int64_t head, int64_t row, int64_t key) const {
    if (request_.mask.empty()) return 0;
    const int64_t at =
        ((b * layer_.num_q_heads + head) * request_.q_len + row) *
            request_.kv_len() +
        key;
    return request_.mask[static_cast<size_t>(at)];
  }

  size_t QueryAt(int64_t b, int64_t row, int64_t head) const {
    return static_cast<size_t>(
        ((b * request_.q_len + row) * layer_.num_q_heads + head) *
        layer_.head_dim);
  }
  size_t KeyAt(int64_t b, int64_t key, int64_t head) const {
    const int64_t kv_head = head / (layer_.num_q_heads / layer_.num_kv_heads);
    return static_cast<size_t>(
        ((b * request_.kv_len() + key) * layer_.num_kv_heads + kv_head) *
        layer_.head_dim);
  }

  std::vector<Scored> Score(int64_t b, int64_t row, int64_t head) const {
    std::vector<Scored> scored;
    double largest = 0;
    for (int64_t key = 0; key < request_.kv_len(); ++key) {
      const double mask = MaskAt(b, head, row, key);
      if (!IsAllowed(b, row, key) || mask == -kInfinity) continue;
      Scored one = Dot(QueryAt(b, row, head), KeyAt(b, key, head));
      one.key = key;
      one.value += mask;
      one.error += 6 * kUnit * (std::fabs(one.value) + std::fabs(mask));
      largest = std::max(largest, std::fabs(one.value));
      scored.push_back(one);
    }
    for (Scored& one : scored) one.error += 2 * kUnit * largest;
    return scored;
  }

  Scored Dot(size_t query, size_t key) const {
    Scored dot;
    double magnitude = 0;
    for (size_t c = 0; c < static_cast<size_t>(layer_.head_dim); ++c) {
      const double q = query_.value[query + c], k = key_.value[key + c];
      const double eq = query_.error[query + c], ek = key_.error[key + c];
      dot.value += q * k;
      magnitude += std::fabs(q * k);
      dot.error += std::fabs(q) * ek + eq * std::fabs(k) + eq * ek;
    }
    dot.value *= layer_.scale;
    dot.error = std::fabs(layer_.scale) *
                (dot.error + Gamma(layer_.head_dim + 4) * magnitude);
    return dot;
  }

  // Scores become weights, and their errors relative ones.
  static void Weigh(std::vector<Scored>& keys) {
    double largest = -kInfinity, sum = 0, doubt = 0;
    for (const Scored& one : keys) largest = std::max(largest, one.value);
    for (Scored& one : keys) {
      one.value = std::exp(one.value - largest);
      one.error = std::exp(one.error) * (1 + kExpError);
      sum += one.value;
      doubt += one.value * (one.error - 1);
    }
    const auto n = static_cast<int64_t>(keys.size());
    doubt = doubt / sum + Gamma(std::min<int64_t>(n, 512)) + 4 * kUnit;
    for (Scored& one : keys) {
      one.value /= sum;
      one.error = doubt < 1 ? one.error / (1 - doubt) - 1 : kInfinity;
    }
  }

  void Sum(int64_t b, int64_t head, const std::vector<Scored>& keys,
           Bounded& output) const {
    const double sum_error = Gamma(static_cast<int64_t>(keys.size()) + 8);
    for (size_t c = 0; c < static_cast<size_t>(layer_.head_dim); ++c) {
      double sum = 0, error = kTiny;
      for (const Scored& one : keys) {
        const size_t at = KeyAt(b, one.key, head) + c;
        const double v = value_.value[at], ev = value_.error[at];
        const double largest = std::fabs(v) + ev;
        sum += one.value * v;
        error += one.value * (one.error * largest + ev + sum_error * largest) +
                 0x1p-120 * largest;
      }
      output.Add(sum, keys.empty() ? 0 : error);
    }
  }

  const ReferenceLayer& layer_;
  const LayerRequest& request_;
  Bounded query_;  // [B, q_len, num_q_heads, head_dim]
  Bounded key_;    // [B, kv_len, num_kv_heads, head_dim]
  Bounded value_;
};

}  // namespace

ReferenceLayer MakeReferenceLayer(const CheckpointOptions& o,
                                  const WrittenLayer& written, int64_t index,
                                  WeightFormat format) {
  const bool is_llama_like = o.is_llama_like();
  ReferenceLayer layer{
      .hidden_dim = o.hidden_dim,
      .num_q_heads = o.num_q_heads,
      .num_kv_heads = is_llama_like ? o.num_kv_heads : o.num_q_heads,
      .head_dim = is_llama_like ? o.head_dim : o.hidden_dim / o.num_q_heads,
      .query = Keep(written.query, format),
      .key = Keep(written.key, format),
      .value = Keep(written.value, format),
      .output = Keep(written.output, format),
      .query_norm = written.query_norm,
      .key_norm = written.key_norm,
      .norm_epsilon = o.norm_epsilon};
  Configure(o, index, layer);
  return layer;
}

Bounded ForwardReference(const ReferenceLayer& layer,
                         const LayerRequest& request) {
  return Forward(layer, request).Run();
}

std::string CompareWithBound(const Bounded& expected,
                             const std::vector<double>& got,
                             double* worst_ratio) {
  if (got.size() != expected.value.size()) {
    return absl::StrCat("expected ", expected.value.size(), " elements, got ",
                        got.size());
  }
  double worst = 0;
  std::string text;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(got[i] - expected.value[i]);
    if (error == 0) continue;
    // A bound that is none must not let anything pass.
    const double ratio = std::isfinite(expected.error[i])
                             ? error / expected.error[i]
                             : kInfinity;
    if (ratio <= worst) continue;
    worst = std::isnan(ratio) ? kInfinity : ratio;
    text = absl::StrFormat(
        "output[%d]: expected %.9g, got %.9g, error %.3g, bound %.3g", i,
        expected.value[i], got[i], error, expected.error[i]);
  }
  if (worst_ratio != nullptr) *worst_ratio = std::max(*worst_ratio, worst);
  return worst > 1 ? text : "";
}

}  // namespace attn::test
