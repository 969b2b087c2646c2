#include "core/engine/attention_task.h"

#include <algorithm>
#include <utility>

#include "core/base/checked_math.h"

namespace attn {
namespace {

int64_t Aligned(int64_t bytes) { return RoundUp(bytes, kBufferAlignment); }

// Walks over a lease, part by part. Parts of no bytes are null.
class Parts {
 public:
  explicit Parts(std::byte* data) : next_(data) {}

  std::byte* Take(int64_t bytes) {
    if (bytes == 0) return nullptr;
    std::byte* part = next_;
    next_ += Aligned(bytes);
    return part;
  }

 private:
  std::byte* next_;
};

int64_t NumRows(const AttentionPlan& plan) {
  return plan.geometry.group_size() * plan.geometry.q_len;
}

TileShape TileOf(const AttentionPlan& plan) {
  const Geometry& g = plan.geometry;
  return ChooseTileShape(NumRows(plan), g.kv_len, g.head_dim, g.value_head_dim);
}

int64_t NumProblems(const AttentionPlan& plan) {
  // Without rows there may be any number of heads, and nothing to do.
  return plan.geometry.q_len == 0
             ? 0
             : plan.geometry.batch_size * plan.geometry.num_kv_heads;
}

}  // namespace

int64_t AttentionTask::InputBytes(const AttentionPlan& plan) {
  return Aligned(plan.query_bytes) + Aligned(plan.key_bytes) +
         Aligned(plan.value_bytes) + Aligned(plan.mask_bytes);
}

int64_t AttentionTask::ReplyBytes(const AttentionPlan& plan) {
  return Aligned(plan.output_bytes) + Aligned(plan.lse_bytes) +
         Aligned(plan.weights_bytes);
}

AttentionTask::AttentionTask(AttentionPlan plan, const TaskFacts& facts,
                             AdmissionTicket ticket, Buffers buffers)
    : Task(facts),
      plan_(std::move(plan)),
      tile_(TileOf(plan_)),
      units_per_problem_(DivideUp(NumRows(plan_), tile_.rows)),
      num_units_(NumProblems(plan_) * units_per_problem_),
      buffers_(std::move(buffers)),
      ticket_(std::move(ticket)) {
  Parts inputs(buffers_.inputs.data());
  input_at_.query = inputs.Take(plan_.query_bytes);
  input_at_.key = inputs.Take(plan_.key_bytes);
  input_at_.value = inputs.Take(plan_.value_bytes);
  input_at_.mask = inputs.Take(plan_.mask_bytes);
  Parts reply(buffers_.reply.data());
  buffers_at_ = {.query = input_at_.query,
                 .key = input_at_.key,
                 .value = input_at_.value,
                 .mask = input_at_.mask,
                 .output = reply.Take(plan_.output_bytes),
                 .lse = reply.Take(plan_.lse_bytes),
                 .weights = reply.Take(plan_.weights_bytes)};
}

absl::Status AttentionTask::RunUnit(int64_t unit, const TileGemm& gemm,
                                    ScratchArena& arena) const {
  const int64_t index = unit / units_per_problem_;
  const int64_t num_kv_heads = plan_.geometry.num_kv_heads;
  const Problem problem = MakeProblem(plan_, buffers_at_, index / num_kv_heads,
                                      index % num_kv_heads);
  const int64_t first = unit % units_per_problem_ * tile_.rows;
  const RowRange rows{first, std::min(first + tile_.rows, problem.num_rows())};
  return AttendPrefill(problem, rows, tile_, gemm, arena);
}

}  // namespace attn
