#include "core/engine/attention_task.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
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

int64_t NumProblems(const AttentionPlan& plan) {
  // Without rows there may be any number of heads, and nothing to do.
  return plan.geometry.q_len == 0
             ? 0
             : plan.geometry.batch_size * plan.geometry.num_kv_heads;
}

}  // namespace

int64_t AttentionTask::InputBytes(const AttentionPlan& plan) {
  return Aligned(plan.query_bytes) + Aligned(plan.key_bytes) +
         Aligned(plan.value_bytes) + Aligned(plan.mask_bytes) +
         Aligned(plan.cos_bytes) + Aligned(plan.sin_bytes) +
         Aligned(QueryRotationBytes(plan)) + Aligned(KeyRotationBytes(plan));
}

int64_t AttentionTask::ReplyBytes(const AttentionPlan& plan) {
  return Aligned(plan.output_bytes) + Aligned(plan.lse_bytes) +
         Aligned(plan.weights_bytes) + 2 * Aligned(plan.top_bytes);
}

AttentionTask::AttentionTask(AttentionPlan plan, const TaskFacts& facts,
                             AdmissionTicket ticket, Buffers buffers)
    : Task(facts),
      plan_(std::move(plan)),
      kernel_(ChooseKernel(plan_)),
      units_per_problem_(DivideUp(NumRows(plan_), kernel_.tile.rows)),
      num_units_(NumProblems(plan_) * units_per_problem_),
      buffers_(std::move(buffers)),
      ticket_(std::move(ticket)) {
  Parts inputs(buffers_.inputs.data());
  input_at_.query = inputs.Take(plan_.query_bytes);
  input_at_.key = inputs.Take(plan_.key_bytes);
  input_at_.value = inputs.Take(plan_.value_bytes);
  input_at_.mask = inputs.Take(plan_.mask_bytes);
  input_at_.cos = inputs.Take(plan_.cos_bytes);
  input_at_.sin = inputs.Take(plan_.sin_bytes);
  const RotationBuffers rotation{
      .given_cos = input_at_.cos,
      .given_sin = input_at_.sin,
      .query = inputs.Take(QueryRotationBytes(plan_)),
      .key = inputs.Take(KeyRotationBytes(plan_))};
  Parts reply(buffers_.reply.data());
  buffers_at_ = {.query = input_at_.query,
                 .key = input_at_.key,
                 .value = input_at_.value,
                 .mask = input_at_.mask,
                 .rotation = rotation,
                 .paged = {},
                 .output = reply.Take(plan_.output_bytes),
                 .lse = reply.Take(plan_.lse_bytes),
                 .weights = reply.Take(plan_.weights_bytes),
                 .top_indices = reply.Take(plan_.top_bytes),
                 .top_probabilities = reply.Take(plan_.top_bytes)};
}

void AttentionTask::Attach(KvSnapshot snapshot) {
  ATTN_CHECK(plan_.has_session && snapshot.length == plan_.geometry.kv_len);
  snapshot_ = std::move(snapshot);
  buffers_at_.paged = {.pages = snapshot_.pages.data(),
                       .first_page = snapshot_.first_token / kPageTokens,
                       .format = snapshot_.format};
}

absl::Status AttentionTask::RunUnit(int64_t unit, const TileGemm& gemm,
                                    ScratchArena& arena) const {
  if (plan_.rope.is_on()) {
    std::call_once(rotation_once_,
                   [this] { FillRotation(plan_, buffers_at_.rotation); });
  }
  const int64_t index = unit / units_per_problem_;
  const int64_t num_kv_heads = plan_.geometry.num_kv_heads;
  const Problem problem = MakeProblem(plan_, buffers_at_, index / num_kv_heads,
                                      index % num_kv_heads);
  const int64_t first = unit % units_per_problem_ * kernel_.tile.rows;
  const RowRange rows{first,
                      std::min(first + kernel_.tile.rows, problem.num_rows())};
  return AttendRows(kernel_, problem, rows, gemm, arena);
}

}  // namespace attn
