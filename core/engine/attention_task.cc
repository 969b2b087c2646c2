#include "core/engine/attention_task.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/attention/split_kv.h"
#include "core/base/check.h"
#include "core/base/checked_math.h"
#include "core/base/status_macros.h"

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
         Aligned(QueryRotationBytes(plan)) + Aligned(KeyRotationBytes(plan)) +
         SplitBytes(plan);
}

int64_t AttentionTask::SplitBytes(const AttentionPlan& plan) {
  if (NumSplits(plan) == 1) return 0;
  const int64_t num_problems = NumProblems(plan);
  const int64_t answers =
      num_problems * SplitAnswerFloats(plan) * int64_t{sizeof(float)};
  return Aligned(answers) + Aligned(num_problems * int64_t{sizeof(Countdown)});
}

int64_t AttentionTask::ReplyBytes(const AttentionPlan& plan) {
  return Aligned(plan.output_bytes) + Aligned(plan.lse_bytes) +
         Aligned(plan.weights_bytes) + 2 * Aligned(plan.top_bytes);
}

AttentionTask::AttentionTask(AttentionPlan plan, const TaskFacts& facts,
                             AdmissionTicket ticket, Buffers buffers,
                             AdmissionTicket* job_ticket)
    : EngineTask(Kind::kAttention, facts, std::move(ticket), job_ticket),
      plan_(std::move(plan)),
      kernel_(ChooseKernel(plan_)),
      num_splits_(NumSplits(plan_)),
      answer_floats_(SplitAnswerFloats(plan_)),
      num_problems_(NumProblems(plan_)),
      num_rows_(NumRows(plan_)),
      tiles_per_problem_(DivideUp(num_rows_, kernel_.tile.rows)),
      num_units_(num_problems_ * tiles_per_problem_ * num_splits_),
      buffers_(std::move(buffers)) {
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
  if (num_splits_ > 1) {
    answers_ = reinterpret_cast<float*>(
        inputs.Take(num_problems_ * answer_floats_ * int64_t{sizeof(float)}));
    splits_left_ = reinterpret_cast<Countdown*>(
        inputs.Take(num_problems_ * int64_t{sizeof(Countdown)}));
    for (int64_t i = 0; i < num_problems_; ++i) {
      new (splits_left_ + i) Countdown(num_splits_);
    }
  }
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

void AttentionTask::ReleaseInputs() {
  buffers_.inputs = PooledBuffer();
  snapshot_ = KvSnapshot();
}

void AttentionTask::Attach(KvSnapshot snapshot) {
  ATTN_CHECK(plan_.has_session && snapshot.length == plan_.geometry.kv_len);
  snapshot_ = std::move(snapshot);
  buffers_at_.paged = snapshot_.View();
}

Problem AttentionTask::WholeProblem(int64_t index) const {
  const int64_t num_kv_heads = plan_.geometry.num_kv_heads;
  return MakeProblem(plan_, buffers_at_, index / num_kv_heads,
                     index % num_kv_heads);
}

Problem AttentionTask::ProblemOf(int64_t unit) const {
  if (plan_.rope.is_on()) {
    std::call_once(rotation_once_,
                   [this] { FillRotation(plan_, buffers_at_.rotation); });
  }
  const int64_t index = ProblemIndex(unit);
  const Problem problem = WholeProblem(index);
  if (num_splits_ == 1) return problem;
  return SplitProblem(problem, SplitIndex(unit), AnswersOf(index));
}

absl::Status AttentionTask::RunUnit(int64_t unit, const TileGemm& gemm,
                                    ScratchArena& arena) {
  const Problem problem = ProblemOf(unit);
  const int64_t first = unit % tiles_per_problem_ * kernel_.tile.rows;
  const RowRange rows{first, std::min(first + kernel_.tile.rows, num_rows_)};
  ATTN_RETURN_IF_ERROR(AttendRows(kernel_, problem, rows, gemm, arena));
  UnitIsDone(unit);
  return absl::OkStatus();
}

void AttentionTask::UnitIsDone(int64_t unit) {
  if (num_splits_ == 1) return;
  const int64_t index = ProblemIndex(unit);
  // What other workers wrote is seen by the last.
  if (splits_left_[index].fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  MergeSplits(WholeProblem(index), num_splits_, AnswersOf(index));
}

absl::Span<const std::byte* const> AttentionTask::PagesOfSplit(
    int64_t split) const {
  const PagedKv& paged = buffers_at_.paged;
  if (!plan_.has_session || split >= num_splits_) return {};
  const KeyRange keys{split * kSplitKeys, (split + 1) * kSplitKeys};
  const KeyStructure structure = WholeProblem(0).structure;
  for (int64_t row = 0; row < plan_.geometry.q_len; ++row) {
    const KeyRange seen = structure.Allowed(row);
    if (seen.first > keys.first || seen.last < keys.last) return {};
  }
  return {paged.pages + keys.first / kPageTokens - paged.first_page,
          static_cast<size_t>(kSplitKeys / kPageTokens)};
}

}  // namespace attn
