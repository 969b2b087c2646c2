// An attention layer in f64, from hidden states to its output, with a derived
// bound of how far off each element of an f32 server's answer may be. It shares
// no arithmetic with the core.
//
// The bound follows the computation (tests/support/bounded.h has the first and
// the last step). e_x is the bound of x so far, n the row's allowed keys, d the
// head's channels, M the sum of |q||k| over a head's channels:
//   1. q, k, v: Project; then NormHeads and TurnHead where the layer has them;
//      keys and values of a session are rounded to its dtype.
//   2. score s = scale q . k + mask:
//        e_s = scale sum(|q| e_k + e_q |k| + e_q e_k) + gamma(d + 4) scale M
//              + 6 u (|s| + |mask|) + 2 u max |s| of the row,
//      the last for the base-4 logarithm and for what is subtracted before the
//      exponential, of which 4e-7 is the relative error.
//   3. weight p: with g = e^(e_s) (1 + 4e-7) of a key, each is off by at most
//      the factor g / (1 - D), D = sum p (g - 1) + gamma(min(n, 512)) + 4 u of
//      the row; that is e^(2 max e_s) to first order. A weight may also be 0
//      below 2^-120.
//   4. weighted sum: e = sum p (r (|v| + e_v) + e_v) + gamma(n + 8) sum p |v|
//      with r the relative error of 3.
//   5. output: Project of that, and one rounding to the output's dtype.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/params.h"
#include "core/projection/linear.h"
#include "core/tensor/dtype.h"
#include "tests/support/bounded.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/rope_reference.h"

namespace attn::test {

// What a layer computes with. Tests of the reference itself spoil one.
struct ReferenceLayer {
  int64_t hidden_dim = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  BoundedLinear query = {};
  BoundedLinear key = {};
  BoundedLinear value = {};
  BoundedLinear output = {};
  std::vector<double> query_norm = {};  // [head_dim]; empty: none.
  std::vector<double> key_norm = {};
  double norm_epsilon = 0;
  RopeReference rope = {};
  CausalMode causal = CausalMode::kNone;
  int64_t window = 0;  // Tokens that a row sees, itself included; 0: all.
  double scale = 1;
};

// Layer `index` with its weights kept in `format` (as written for
// kUnspecified). Int8: scale = max |w| / 127 of an output channel, code = w /
// scale, rounded to even; a weight near a tie may have either code.
ReferenceLayer MakeReferenceLayer(const CheckpointOptions& options,
                                  const WrittenLayer& written, int64_t index,
                                  WeightFormat format);

// A request, widened.
struct LayerRequest {
  int64_t batch_size = 1;
  int64_t q_len = 0;
  std::vector<double> hidden = {};  // [B, q_len, hidden_dim]
  // [B, context_len, hidden_dim]; without a value keys come from hidden.
  std::optional<std::vector<double>> context = {};
  int64_t context_len = 0;
  // [B, num_q_heads, q_len, kv_len] added to scores, -infinity for what is
  // forbidden; empty: none.
  std::vector<double> mask = {};
  std::vector<int64_t> kv_lengths = {};
  std::optional<CausalMode> causal = {};
  std::optional<int64_t> causal_offset = {};
  std::vector<int64_t> positions = {};
  DataType output_dtype = DataType::kF32;
  DataType kv_dtype = DataType::kF32;  // Of the session.

  int64_t kv_len() const { return context.has_value() ? context_len : q_len; }
};

// [B, q_len, hidden_dim]
Bounded ForwardReference(const ReferenceLayer& layer,
                         const LayerRequest& request);

// Every element within its bound? "" or the worst one, with index, expected,
// got and bound. `worst_ratio` grows to the largest |error| / bound.
std::string CompareWithBound(const Bounded& expected,
                             const std::vector<double>& got,
                             double* worst_ratio = nullptr);

}  // namespace attn::test
