#include "tests/support/named_option.h"

#include <algorithm>

namespace attn::test {
namespace {

const NamedOption kAll[] = {
    {"none", [](CaseOptions&) {}},
    {"scale", [](CaseOptions& o) { o.params.scale = 0.3f; }},
    {"zero scale", [](CaseOptions& o) { o.params.scale = 0.0f; }},
    {"top left",
     [](CaseOptions& o) { o.params.causal = CausalMode::kTopLeft; }},
    {"bottom right",
     [](CaseOptions& o) { o.params.causal = CausalMode::kBottomRight; }},
    {"offset",
     [](CaseOptions& o) {
       o.params.causal = CausalMode::kTopLeft;
       o.params.causal_offset = -5;
     }},
    {"left window", [](CaseOptions& o) { o.params.left_window = 9; }},
    {"right window", [](CaseOptions& o) { o.params.right_window = 3; }},
    {"softcap", [](CaseOptions& o) { o.params.softcap = 1.5f; }},
    {"alibi",
     [](CaseOptions& o) {
       o.params.alibi_slopes.assign(static_cast<size_t>(o.num_q_heads), 0.125f);
       o.params.alibi_slopes.back() = -0.5f;
     }},
    {"sinks",
     [](CaseOptions& o) {
       o.params.sinks.assign(static_cast<size_t>(o.num_q_heads), 1.25f);
       o.params.sinks.back() = 200.0f;
     }},
    {"kv_lengths",
     [](CaseOptions& o) {
       o.kv_lengths = {o.kv_len / 2, 0};
     }},
    {"bool mask [q, kv]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dims = {o.q_len, o.kv_len};
     }},
    {"f32 mask [B, H, q, kv]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dtype = DataType::kF32;
       o.mask_dims = {o.batch_size, o.num_q_heads, o.q_len, o.kv_len};
     }},
    {"short mask [H, 1, kv - 7]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dims = {o.num_q_heads, 1, o.kv_len - 7};
     }},
    {"mask [q, 1]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dtype = DataType::kF32;
       o.mask_dims = {o.q_len, 1};
     }},
    {"raw scores",
     [](CaseOptions& o) { o.output.weights = WeightsMode::kRawScores; }},
    {"softcapped",
     [](CaseOptions& o) { o.output.weights = WeightsMode::kSoftcapped; }},
    {"biased", [](CaseOptions& o) { o.output.weights = WeightsMode::kBiased; }},
    {"probabilities",
     [](CaseOptions& o) { o.output.weights = WeightsMode::kProbabilities; }},
    {"rope",
     [](CaseOptions& o) {
       o.params.rope = RopeParams{.base = 10000};
       o.rope_table_rows = 0;
     }},
    {"rope, interleaved, part, positions",
     [](CaseOptions& o) {
       RopeParams rope{.base = 500000,
                       .rotary_dim = o.head_dim / 4 * 2,
                       .is_interleaved = true,
                       .scaling_factor = 4};
       for (int64_t i = 0; i < o.q_len; ++i) rope.positions.push_back(7 * i);
       for (int64_t j = 0; j < o.kv_len; ++j) {
         rope.key_positions.push_back(1000 - j);
       }
       o.params.rope = rope;
       o.rope_table_rows = 0;
     }},
    {"rope tables",
     [](CaseOptions& o) {
       o.params.rope = RopeParams{};
       o.rope_table_rows = std::max(o.q_len, o.kv_len);
     }},
    {"top 5", [](CaseOptions& o) { o.output.top_k = 5; }},
    {"top 100", [](CaseOptions& o) { o.output.top_k = 100; }},
    {"bf16 output", [](CaseOptions& o) { o.output.dtype = DataType::kBF16; }},
    {"f64 output", [](CaseOptions& o) { o.output.dtype = DataType::kF64; }},
};

}  // namespace

absl::Span<const NamedOption> AllOptions() { return kAll; }

}  // namespace attn::test
