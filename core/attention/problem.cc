#include "core/attention/problem.h"

namespace attn {
namespace {

// A tensor of [B, heads, length, dim] in one of the layouts.
struct TensorForm {
  DataType dtype;
  Layout layout;
  int64_t heads;
  int64_t length;
  int64_t dim;
};

// Rows of sequence b from head `first_head` on.
template <typename Byte>
BasicRowsView<Byte> HeadsOf(Byte* data, const TensorForm& form, int64_t b,
                            int64_t first_head) {
  BasicRowsView<Byte> view{.data = data, .dtype = form.dtype, .dim = form.dim};
  const bool heads_first = form.layout == Layout::kBHSD;
  view.head_stride = heads_first ? form.length * form.dim : form.dim;
  view.row_stride = heads_first ? form.dim : form.heads * form.dim;
  const int64_t start =
      b * form.heads * form.length * form.dim + first_head * view.head_stride;
  view.data += start * ElementBytes(form.dtype);
  return view;
}

// The group's part of a contiguous f32 [B, num_q_heads, q_len, width].
F32RowsView ResultRows(std::byte* data, const Geometry& g, int64_t b,
                       int64_t first_head, int64_t width) {
  if (data == nullptr) return {};
  const int64_t head_stride = g.q_len * width;
  return {.data = reinterpret_cast<float*>(data) +
                  (b * g.num_q_heads + first_head) * head_stride,
          .head_stride = head_stride,
          .row_stride = width};
}

TopKeysView TopOf(const AttentionPlan& plan, const RequestBuffers& buffers,
                  int64_t b, int64_t first_head) {
  if (buffers.top_indices == nullptr) return {};
  const Geometry& g = plan.geometry;
  const int64_t head_stride = g.q_len * plan.output.top_k;
  const int64_t start = (b * g.num_q_heads + first_head) * head_stride;
  return {.indices = reinterpret_cast<int32_t*>(buffers.top_indices) + start,
          .probabilities =
              reinterpret_cast<float*>(buffers.top_probabilities) + start,
          .top_k = plan.output.top_k,
          .head_stride = head_stride};
}

MaskView MaskOf(const AttentionPlan& plan, const std::byte* data, int64_t b,
                int64_t first_head) {
  if (!plan.has_mask) return {};
  const MaskStrides& strides = plan.mask_strides;
  const int64_t start = b * strides.batch + first_head * strides.head;
  return {.data = data + start * ElementBytes(plan.mask_dtype),
          .dtype = plan.mask_dtype,
          .strides = strides};
}

const float* PerHead(const std::vector<float>& values, int64_t first_head) {
  return values.empty() ? nullptr : values.data() + first_head;
}

}  // namespace

Problem MakeProblem(const AttentionPlan& plan, const RequestBuffers& buffers,
                    int64_t b, int64_t kv_head) {
  const Geometry& g = plan.geometry;
  const int64_t first_head = kv_head * g.group_size();
  Problem problem;
  problem.group_size = g.group_size();
  problem.q_len = g.q_len;
  problem.kv_len = g.kv_len;
  const auto query_form = [&](DataType dtype, int64_t dim) {
    return TensorForm{dtype, plan.layout, g.num_q_heads, g.q_len, dim};
  };
  const auto key_form = [&](int64_t dim) {
    return TensorForm{plan.dtype, plan.layout, g.num_kv_heads, g.kv_len, dim};
  };
  problem.query =
      HeadsOf(buffers.query, query_form(plan.dtype, g.head_dim), b, first_head);
  problem.key = HeadsOf(buffers.key, key_form(g.head_dim), b, kv_head);
  problem.value =
      HeadsOf(buffers.value, key_form(g.value_head_dim), b, kv_head);
  problem.paged = buffers.paged.Head(kv_head);
  problem.output =
      HeadsOf(buffers.output, query_form(plan.output_dtype, g.value_head_dim),
              b, first_head);
  problem.lse = ResultRows(buffers.lse, g, b, first_head, 1);
  problem.weights = ResultRows(buffers.weights, g, b, first_head, g.kv_len);
  problem.weights_mode = plan.output.weights;
  problem.top = TopOf(plan, buffers, b, first_head);
  problem.query_rotation = QueryRotation(plan, buffers.rotation);
  problem.key_rotation = KeyRotation(plan, buffers.rotation);
  problem.structure = plan.Structure(b);
  // What has left a session's window is in no page.
  problem.structure.kv_first = buffers.paged.first_page * kPageTokens;
  problem.mask = MaskOf(plan, buffers.mask, b, first_head);
  problem.scale = plan.scale;
  problem.softcap = plan.params.softcap;
  problem.alibi_slopes = PerHead(plan.params.alibi_slopes, first_head);
  problem.sinks = PerHead(plan.params.sinks, first_head);
  return problem;
}

}  // namespace attn
